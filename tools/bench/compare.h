// Is it faster than it was?
#pragma once

#include <span>
#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/statistics.h"

namespace mtmd::bench {

struct Comparison {
  std::string name;  ///< model, test and whatever else tells the records apart
  double first = 0, second = 0;  ///< median rates
  Ratio ratio;                   ///< second over first
  Verdict verdict = Verdict::no_difference;
};

/// Records of `second` with the record of `first` that measured the same: model, test, threads, cache, batch sizes.
/// What only one side has is left out. Throws Error(input) when the two have nothing in common.
std::vector<Comparison> compare(std::span<const Json> first, std::span<const Json> second);
/// Two sides of one run, sample by sample in turns.
Comparison compare_pairs(std::string name, std::span<const double> first, std::span<const double> second);

std::string markdown(std::span<const Comparison> comparisons, std::string_view first, std::string_view second);
bool any_slower(std::span<const Comparison> comparisons) noexcept;

}  // namespace mtmd::bench
