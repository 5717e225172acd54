// Each filter against a definition written out naively, in double precision with the standard library's functions.
#include "engine/sampling/filters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace mtmd::sampling {
namespace {

using ::testing::ElementsAre;
using Ids = std::vector<std::int32_t>;

std::vector<float> random_logits(std::mt19937& random, std::size_t n) {
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(n);
  for (float& l : logits) l = random() % 4 == 0 ? std::round(normal(random)) : normal(random);  // some are equal
  return logits;
}

Candidates candidates_of(const std::vector<float>& logits) {
  Candidates all;
  for (std::size_t i = 0; i < logits.size(); ++i) all.push_back({static_cast<std::int32_t>(i), logits[i], 0});
  return all;
}

std::vector<double> softmax(const std::vector<float>& logits) {
  std::vector<double> p(logits.size());
  const double top = *std::max_element(logits.begin(), logits.end());
  for (std::size_t i = 0; i < p.size(); ++i) p[i] = std::exp(logits[i] - top);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

Ids ids(const Candidates& candidates) {
  Ids result;
  for (const auto& c : candidates) result.push_back(c.token);
  return result;
}

Ids best_first(const std::vector<float>& logits) {
  Ids order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return logits[a] > logits[b]; });
  return order;
}

TEST(Filters, ExponentialIsAccurate) {
  for (double x = 0; x > -700; x = x * 1.01 - 0.003) ASSERT_NEAR(exp_negative(x) / std::exp(x), 1.0, 2e-15) << x;
  EXPECT_EQ(exp_negative(0), 1.0);
  EXPECT_EQ(exp_negative(-std::numeric_limits<double>::infinity()), 0.0);
  EXPECT_EQ(exp_negative(-1000), 0.0);
}

TEST(Filters, TopK) {
  std::mt19937 random(1);
  for (const std::size_t n : {1, 5, 100, 1000}) {
    for (const std::size_t k : {1, 2, 40, 5000}) {
      const auto logits = random_logits(random, n);
      auto candidates = candidates_of(logits);
      keep_top_k(candidates, k);
      auto wanted = best_first(logits);
      wanted.resize(std::min(k, n));
      ASSERT_EQ(ids(candidates), wanted);
    }
  }
}

TEST(Filters, TopP) {
  std::mt19937 random(2);
  for (const std::size_t n : {1, 3, 200, 3000}) {
    for (const double p : {0.0, 0.1, 0.5, 0.95, 0.9999}) {
      const auto logits = random_logits(random, n);
      const auto probability = softmax(logits);
      auto candidates = candidates_of(logits);
      keep_top_p(candidates, p);
      // the smallest set of the likeliest whose probabilities reach p
      Ids wanted;
      double sum = 0;
      for (const auto id : best_first(logits)) {
        wanted.push_back(id);
        if ((sum += probability[id]) >= p) break;
      }
      ASSERT_EQ(ids(candidates), wanted) << n << " " << p;
    }
  }
}

TEST(Filters, MinP) {
  std::mt19937 random(3);
  for (const double share : {0.01, 0.05, 0.5, 1.0}) {
    const auto logits = random_logits(random, 500);
    const auto probability = softmax(logits);
    const double top = *std::max_element(probability.begin(), probability.end());
    auto candidates = candidates_of(logits);
    keep_min_p(candidates, share);
    Ids wanted;
    for (std::size_t i = 0; i < logits.size(); ++i)
      if (probability[i] >= share * top) wanted.push_back(static_cast<std::int32_t>(i));
    ASSERT_EQ(ids(candidates), wanted) << share;
  }
}

TEST(Filters, Typical) {
  std::mt19937 random(4);
  for (const std::size_t n : {1, 4, 300, 2000}) {
    for (const double p : {0.05, 0.2, 0.7, 0.99}) {
      const auto logits = random_logits(random, n);
      const auto probability = softmax(logits);
      double entropy = 0;
      for (const double x : probability) entropy -= x * std::log(x);
      auto candidates = candidates_of(logits);
      keep_typical(candidates, p);
      // no token that was left out is more typical than one that was kept, and the last one kept was needed
      const auto strangeness = [&](std::int32_t id) { return std::fabs(-std::log(probability[id]) - entropy); };
      double sum = 0, worst = 0;
      std::vector<bool> kept(n);
      for (const auto& c : candidates) {
        ASSERT_LE(sum, p + 1e-12);
        sum += probability[c.token];
        worst = std::max(worst, strangeness(c.token));
        kept[c.token] = true;
      }
      if (candidates.size() < n) {
        ASSERT_GT(sum, p - 1e-12);
      }
      for (std::size_t i = 0; i < n; ++i) {
        if (kept[i]) continue;
        ASSERT_GE(strangeness(static_cast<std::int32_t>(i)), worst - 1e-9);
      }
    }
  }
}

TEST(Filters, PickFollowsTheDistribution) {
  const std::vector<float> logits = {1.0f, -0.5f, 2.0f, 0.0f};
  for (const double temperature : {0.5, 1.0, 2.0}) {
    auto heated = logits;
    for (float& l : heated) l = static_cast<float>(l / temperature);
    const auto probability = softmax(heated);
    auto candidates = candidates_of(logits);
    std::vector<int> count(logits.size());
    constexpr int kSteps = 100000;
    for (int i = 0; i < kSteps; ++i) ++count[pick(candidates, temperature, (i + 0.5) / kSteps)];
    for (std::size_t t = 0; t < count.size(); ++t) EXPECT_NEAR(count[t], probability[t] * kSteps, 1.01) << t;
  }
}

TEST(Filters, NothingLikelyIsStillAChoice) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  auto candidates = candidates_of({kNever, kNever, kNever});
  keep_top_p(candidates, 0.5);
  keep_min_p(candidates, 0.5);
  keep_typical(candidates, 0.5);
  ASSERT_FALSE(candidates.empty());
  EXPECT_GE(pick(candidates, 1.0, 0.99), 0);
  auto one = candidates_of({kNever, 0.0f, kNever});
  for (const double u : {0.0, 0.5, 0.9999999999}) EXPECT_EQ(pick(one, 1.0, u), 1);
}

}  // namespace
}  // namespace mtmd::sampling
