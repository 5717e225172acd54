// What a handful of samples says, and how sure one can be of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mtmd::bench {

struct Interval {
  double low = 0, high = 0;
  double confidence = 0;  ///< what the interval really covers: 0.95 or more where the number of samples allows
};

/// Linear between the order statistics; q in [0, 1]. `values` not empty.
double quantile(std::span<const double> values, double q);
double median(std::span<const double> values);
double mean(std::span<const double> values);
/// Of a sample (n - 1); 0 for fewer than two values.
double deviation(std::span<const double> values);

/// Distribution-free interval of the median (Thompson 1936): the k-th smallest to the k-th largest value, k as large as
/// 95 % allow. Below six values even the extremes cover less; `confidence` says how much.
Interval median_interval(std::span<const double> values);

/// Indices of values farther than three quartile distances outside the quartiles (Tukey 1977, "far out").
std::vector<std::size_t> outliers(std::span<const double> values);

/// How a second measurement relates to a first one.
struct Ratio {
  double value = 1;   ///< of the medians, second over first
  Interval interval;
};

/// Samples of independent runs: the interval by bootstrap of both medians (Efron 1979), 5000 draws, always the same.
/// Fewer than three samples on a side say nothing: confidence 0.
Ratio ratio_of_medians(std::span<const double> first, std::span<const double> second);
/// Samples taken in turns, pair by pair: median of the ratios, with the interval of that median.
Ratio ratio_of_pairs(std::span<const double> first, std::span<const double> second);

enum class Verdict : std::uint8_t { no_difference, faster, slower };
/// Of rates (larger is better): the interval must exclude 1 and the ratio differ by `least` at least.
Verdict verdict(const Ratio& ratio, double least = 0.01) noexcept;
const char* text(Verdict verdict) noexcept;

}  // namespace mtmd::bench
