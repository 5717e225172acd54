#include "mtmd/quality/knapsack.h"

#include <gtest/gtest.h>

#include <random>

namespace mtmd::quality {
namespace {

using Items = std::vector<std::vector<Alternative>>;

struct Total {
  std::uint64_t size = 0;
  double cost = 0;
};

Total total(const Items& items, const std::vector<std::size_t>& chosen) {
  Total t;
  for (std::size_t i = 0; i < items.size(); ++i) t.size += items[i][chosen[i]].size, t.cost += items[i][chosen[i]].cost;
  return t;
}

/// Every combination.
std::optional<double> best_of_all(const Items& items, std::uint64_t budget) {
  std::vector<std::size_t> at(items.size(), 0);
  std::optional<double> best;
  while (true) {
    const Total t = total(items, at);
    if (t.size <= budget && (!best || t.cost < *best)) best = t.cost;
    std::size_t i = 0;
    while (i < at.size() && ++at[i] == items[i].size()) at[i++] = 0;
    if (i == at.size()) return best;
  }
}

TEST(Knapsack, AgreesWithTryingEverything) {
  std::mt19937 random(3);
  const auto number = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int round = 0; round < 300; ++round) {
    Items items(static_cast<std::size_t>(number(1, 6)));
    std::uint64_t all = 0;
    for (auto& item : items) {
      item.resize(static_cast<std::size_t>(number(1, 4)));
      for (Alternative& a : item) a = {static_cast<std::uint64_t>(number(1, 900)), number(1, 1000) / 7.0};
      all += item[0].size;
    }
    const std::uint64_t budget = all * static_cast<std::uint64_t>(number(10, 200)) / 100;
    const auto want = best_of_all(items, budget);
    const auto got = cheapest(items, budget);
    ASSERT_EQ(got.has_value(), want.has_value());
    if (!got) continue;
    EXPECT_LE(total(items, *got).size, budget);
    EXPECT_DOUBLE_EQ(total(items, *got).cost, *want);  // sizes this small are not rounded
  }
}

TEST(Knapsack, LargeSizesStayWithinTheBudgetAndNearTheBest) {
  std::mt19937_64 random(5);
  Items items(200);
  std::uint64_t budget = 0;
  for (auto& item : items) {
    const std::uint64_t n = 1'000'000 + random() % 50'000'000;
    double error = 1.0 + static_cast<double>(random() % 1000);
    for (int bits = 2; bits <= 8; ++bits, error /= 4) item.push_back({n * static_cast<std::uint64_t>(bits), error});
    budget += n * 4 + n / 2;
  }
  const auto chosen = cheapest(items, budget);
  ASSERT_TRUE(chosen);
  const Total t = total(items, *chosen);
  EXPECT_LE(t.size, budget);
  EXPECT_GT(t.size, budget - budget / 500);
  // No single exchange of two items' neighbours that fits makes it better: a greedy walk would not have to end so.
  double gain = 0;
  for (std::size_t i = 0; i < items.size(); ++i)
    for (std::size_t j = 0; j < items.size(); ++j) {
      if (i == j || (*chosen)[i] + 1 >= items[i].size() || (*chosen)[j] == 0) continue;
      auto other = *chosen;
      ++other[i], --other[j];
      const Total u = total(items, other);
      if (u.size <= budget) gain = std::max(gain, t.cost - u.cost);
    }
  EXPECT_LT(gain, 0.01 * t.cost);
}

TEST(Knapsack, NothingFitsOrNothingIsAsked) {
  EXPECT_FALSE(cheapest(Items{{{10, 1}}}, 9));
  EXPECT_FALSE(cheapest(Items{{{10, 1}}, {{10, 1}}}, 19));
  EXPECT_EQ(cheapest(Items{{{10, 1}}, {{10, 1}}}, 20), (std::vector<std::size_t>{0, 0}));
  EXPECT_EQ(cheapest(Items{}, 0), std::vector<std::size_t>{});
  EXPECT_EQ(cheapest(Items{{{10, 1}, {12, 2}}}, 100), std::vector<std::size_t>{0});  // larger is not better
}

}  // namespace
}  // namespace mtmd::quality
