// One choice per item, costs as low as a budget of sizes allows (multiple-choice knapsack).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace mtmd::quality {

struct Alternative {
  std::uint64_t size = 0;
  double cost = 0;  ///< finite
};

/// The index chosen for each item (none is empty), or nothing when even the smallest alternatives do not fit. Exact up
/// to sizes rounded to 1/65536 of what there is to spend (dynamic programming); what rounding leaves over is spent on
/// the upgrades that save most per byte.
std::optional<std::vector<std::size_t>> cheapest(std::span<const std::vector<Alternative>> items, std::uint64_t budget);

}  // namespace mtmd::quality
