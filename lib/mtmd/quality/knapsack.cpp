#include "mtmd/quality/knapsack.h"

#include <algorithm>
#include <limits>

namespace mtmd::quality {
namespace {

constexpr std::size_t kCells = 1u << 16;
using Items = std::span<const std::vector<Alternative>>;

std::uint64_t smallest(const std::vector<Alternative>& item) {
  return std::ranges::min_element(item, {}, &Alternative::size)->size;
}

/// choice[i][s]: what item i takes when the items up to it spend at most s cells beyond their smallest sizes.
std::vector<std::size_t> program(Items items, std::uint64_t spare) {
  const std::uint64_t cell = std::max<std::uint64_t>(1, (spare + kCells - 2) / (kCells - 1));
  const auto n_cells = static_cast<std::size_t>(spare / cell) + 1;
  std::vector<double> best(n_cells, 0.0), next(n_cells);
  std::vector<std::vector<std::uint8_t>> choice;
  for (const auto& item : items) {
    std::ranges::fill(next, std::numeric_limits<double>::infinity());
    auto& chosen = choice.emplace_back(n_cells, std::uint8_t{0});
    const std::uint64_t least = smallest(item);
    for (std::size_t a = 0; a < item.size(); ++a) {
      const std::uint64_t more = item[a].size - least;
      if (more > spare) continue;
      const auto cells = static_cast<std::size_t>((more + cell - 1) / cell);
      for (std::size_t s = cells; s < n_cells; ++s) {
        const double cost = best[s - cells] + item[a].cost;
        if (cost < next[s]) next[s] = cost, chosen[s] = static_cast<std::uint8_t>(a);
      }
    }
    best.swap(next);
  }
  std::vector<std::size_t> result(items.size());
  std::size_t s = n_cells - 1;
  for (std::size_t i = items.size(); i-- > 0;) {
    result[i] = choice[i][s];
    const std::uint64_t more = items[i][result[i]].size - smallest(items[i]);
    s -= static_cast<std::size_t>((more + cell - 1) / cell);
  }
  return result;
}

/// Spends what is left on single upgrades, the most saved per byte first.
void upgrade(Items items, std::vector<std::size_t>& chosen, std::uint64_t left) {
  while (true) {
    double best = 0;
    std::size_t at = 0, to = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Alternative& now = items[i][chosen[i]];
      for (std::size_t a = 0; a < items[i].size(); ++a) {
        const Alternative& other = items[i][a];
        if (other.cost >= now.cost || (other.size > now.size && other.size - now.size > left)) continue;
        const double more = other.size > now.size ? static_cast<double>(other.size - now.size) : 0.5;
        if (const double rate = (now.cost - other.cost) / more; rate > best) best = rate, at = i, to = a;
      }
    }
    if (best <= 0) return;
    left += items[at][chosen[at]].size;
    chosen[at] = to;
    left -= items[at][to].size;
  }
}

}  // namespace

std::optional<std::vector<std::size_t>> cheapest(Items items, std::uint64_t budget) {
  std::uint64_t least = 0;
  for (const auto& item : items) {
    const std::uint64_t size = smallest(item);
    if (size > budget - least) return std::nullopt;
    least += size;
  }
  std::vector<std::size_t> chosen = program(items, budget - least);
  std::uint64_t used = 0;
  for (std::size_t i = 0; i < items.size(); ++i) used += items[i][chosen[i]].size;
  upgrade(items, chosen, budget - used);
  return chosen;
}

}  // namespace mtmd::quality
