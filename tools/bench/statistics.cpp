#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace mtmd::bench {
namespace {

std::vector<double> sorted(std::span<const double> values) {
  std::vector<double> copy(values.begin(), values.end());
  std::ranges::sort(copy);
  return copy;
}

double quantile_of_sorted(std::span<const double> values, double q) {
  const double at = q * static_cast<double>(values.size() - 1);
  const auto i = static_cast<std::size_t>(at);
  const double rest = at - static_cast<double>(i);
  return i + 1 < values.size() ? values[i] * (1 - rest) + values[i + 1] * rest : values[i];
}

/// The median of as many values drawn with replacement.
double redrawn_median(std::span<const double> values, std::mt19937& random, std::vector<double>& draw) {
  draw.resize(values.size());
  for (double& v : draw) v = values[random() % values.size()];
  std::ranges::sort(draw);
  return quantile_of_sorted(draw, 0.5);
}

}  // namespace

double quantile(std::span<const double> values, double q) { return quantile_of_sorted(sorted(values), q); }
double median(std::span<const double> values) { return quantile(values, 0.5); }
double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}
double deviation(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double m = mean(values);
  double sum = 0;
  for (const double v : values) sum += (v - m) * (v - m);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

Interval median_interval(std::span<const double> values) {
  const std::vector<double> order = sorted(values);
  const auto n = order.size();
  if (n == 1) return {order[0], order[0], 0};
  // The median lies outside [k-th, (n + 1 - k)-th] with probability 2 P(Binomial(n, 1/2) < k).
  double outside = 0, term = std::pow(0.5, static_cast<double>(n));
  std::size_t k = 0;
  double confidence = 0;
  for (std::size_t i = 0; i < n / 2; ++i) {
    outside += 2 * term;
    term *= static_cast<double>(n - i) / static_cast<double>(i + 1);
    if (i > 0 && 1 - outside < 0.95) break;
    k = i;
    confidence = 1 - outside;
  }
  return {order[k], order[n - 1 - k], confidence};
}

std::vector<std::size_t> outliers(std::span<const double> values) {
  std::vector<std::size_t> found;
  if (values.size() < 4) return found;
  const std::vector<double> order = sorted(values);
  const double low = quantile_of_sorted(order, 0.25), high = quantile_of_sorted(order, 0.75), far = 3 * (high - low);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] < low - far || values[i] > high + far) found.push_back(i);
  return found;
}

Ratio ratio_of_medians(std::span<const double> first, std::span<const double> second) {
  constexpr int kDraws = 5000;
  std::mt19937 random(1);
  std::vector<double> draw, ratios;
  ratios.reserve(kDraws);
  for (int i = 0; i < kDraws; ++i) {
    const double a = redrawn_median(first, random, draw);
    ratios.push_back(redrawn_median(second, random, draw) / a);
  }
  std::ranges::sort(ratios);
  return {median(second) / median(first),
          {quantile_of_sorted(ratios, 0.025), quantile_of_sorted(ratios, 0.975),
           std::min(first.size(), second.size()) < 3 ? 0.0 : 0.95}};
}

Ratio ratio_of_pairs(std::span<const double> first, std::span<const double> second) {
  std::vector<double> ratios(std::min(first.size(), second.size()));
  for (std::size_t i = 0; i < ratios.size(); ++i) ratios[i] = second[i] / first[i];
  return {median(ratios), median_interval(ratios)};
}

Verdict verdict(const Ratio& ratio, double least) noexcept {
  if (ratio.interval.confidence == 0) return Verdict::no_difference;  // one sample says nothing
  if (ratio.interval.low > 1 && ratio.value >= 1 + least) return Verdict::faster;
  if (ratio.interval.high < 1 && ratio.value <= 1 - least) return Verdict::slower;
  return Verdict::no_difference;
}

const char* text(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::faster: return "faster";
    case Verdict::slower: return "slower";
    case Verdict::no_difference: return "no difference";
  }
  return "";
}

}  // namespace mtmd::bench
