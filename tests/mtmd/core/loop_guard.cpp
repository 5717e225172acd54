#include "mtmd/loop_guard.h"

#include <gtest/gtest.h>

#include <random>

namespace mtmd {
namespace {

/// Pushes tokens until the guard speaks; the number pushed and what it says to keep.
std::pair<std::size_t, std::optional<std::size_t>> run(const std::vector<int>& tokens, LoopGuardOptions options = {}) {
  LoopGuard guard(options);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (const auto keep = guard.push(tokens[i])) return {i + 1, keep};
  return {tokens.size(), std::nullopt};
}

TEST(LoopGuard, CutsAtTheStartOfTheSecondRoundForEveryPeriod) {
  for (int period = 1; period <= 60; ++period) {
    std::vector<int> tokens = {1000, 1001, 1002};
    for (int round = 0; round < 200; ++round)
      for (int i = 0; i < period; ++i) tokens.push_back(i);
    const auto [pushed, keep] = run(tokens);
    ASSERT_TRUE(keep) << "period " << period;
    EXPECT_EQ(*keep, 3u + static_cast<std::size_t>(period)) << "period " << period;
    EXPECT_LE(pushed, 3u + static_cast<std::size_t>(std::max(48, 6 * period)));
  }
}

TEST(LoopGuard, LeavesRandomTextAlone) {
  std::mt19937 random(7);
  std::vector<int> tokens(20000);
  for (int& t : tokens) t = static_cast<int>(random() % 50);
  EXPECT_FALSE(run(tokens).second);
}

TEST(LoopGuard, LeavesARuleOfATableAlone) {
  std::vector<int> tokens(40, 7);  // "----------"
  for (int i = 0; i < 40; ++i) tokens.push_back(100 + i);
  EXPECT_FALSE(run(tokens).second);
}

TEST(LoopGuard, LeavesRowsThatDifferAlone) {
  std::vector<int> tokens;
  for (int row = 0; row < 200; ++row)
    for (const int t : {1, 2, 3, 100 + row, 4}) tokens.push_back(t);
  EXPECT_FALSE(run(tokens).second);
}

}  // namespace
}  // namespace mtmd
