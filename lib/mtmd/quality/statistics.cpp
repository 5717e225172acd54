#include "mtmd/quality/statistics.h"

#include <algorithm>
#include <cmath>

namespace mtmd::quality {
namespace {

struct Sum {
  double x = 0, x2 = 0;
  void add(double v) noexcept { x += v, x2 += v * v; }
};

/// Mean and its standard error; too few values have none.
Estimate mean(const Sum& s, double n) noexcept {
  if (n < 1) return {};
  const double m = s.x / n, variance = s.x2 / n - m * m;
  return {m, variance > 0 && n > 10 ? std::sqrt(variance / (n - 1)) : 0};
}

/// Of the means of two quantities.
double covariance(double sum_xy, double sum_x, double sum_y, double n) noexcept {
  return n < 10 ? 0 : (sum_xy / n - sum_x / n * (sum_y / n)) / (n - 1);
}

/// Between neighbours of a sorted list.
double percentile(const std::vector<double>& sorted, double fraction) noexcept {
  const double at = fraction * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const double rest = at - static_cast<double>(low);
  return (1 - rest) * sorted[low] + rest * sorted[std::min(low + 1, sorted.size() - 1)];
}

struct Softmax {
  double log_sum = 0;  ///< ln p of a token is its logit less this
  std::size_t top = 0;
};

/// Single precision exponentials, summed in double: 16 times closer than the 1e-6 that a logit itself is good for.
Softmax softmax(std::span<const float> logits) noexcept {
  Softmax s;
  float highest = logits[0];
  for (std::size_t i = 1; i < logits.size(); ++i)
    if (logits[i] > highest) highest = logits[i], s.top = i;
  double sum = 0;
  for (const float v : logits) sum += static_cast<double>(std::exp(v - highest));
  s.log_sum = double{highest} + std::log(sum);
  return s;
}

void perplexities(DivergenceReport& r, const std::vector<TokenDivergence>& tokens) {
  Sum nll, base;
  double both = 0;
  for (const TokenDivergence& t : tokens) {
    nll.add(t.nll);
    base.add(t.nll_base);
    both += t.nll * t.nll_base;
  }
  const auto n = static_cast<double>(tokens.size());
  const Estimate log_ppl = mean(nll, n), log_base = mean(base, n);
  const double cov = covariance(both, nll.x, base.x, n);
  r.ppl = {std::exp(log_ppl.value), std::exp(log_ppl.value) * log_ppl.error};
  r.ppl_base = {std::exp(log_base.value), std::exp(log_base.value) * log_base.error};
  r.ppl_correlation = log_ppl.error * log_base.error > 0 ? cov / (log_ppl.error * log_base.error) : 0;
  const double variance = log_ppl.error * log_ppl.error + log_base.error * log_base.error - 2 * cov;
  r.log_ppl_ratio = {log_ppl.value - log_base.value, std::sqrt(std::max(0.0, variance))};
  r.ppl_ratio = {std::exp(r.log_ppl_ratio.value), std::exp(r.log_ppl_ratio.value) * r.log_ppl_ratio.error};
  const double cross = r.ppl.value * r.ppl_base.value * cov;
  const double difference = r.ppl.error * r.ppl.error + r.ppl_base.error * r.ppl_base.error - 2 * cross;
  r.ppl_difference = {r.ppl.value - r.ppl_base.value, std::sqrt(std::max(0.0, difference))};
}

void divergences(DivergenceReport& r, const std::vector<TokenDivergence>& tokens) {
  Sum sum;
  std::vector<double> sorted;
  double same = 0;
  for (const TokenDivergence& t : tokens) {
    sum.add(t.kld);
    sorted.push_back(t.kld);
    same += t.same_top;
  }
  std::ranges::sort(sorted);
  const auto n = static_cast<double>(tokens.size());
  r.kld = mean(sum, n);
  r.kld_min = sorted.front();
  r.kld_max = sorted.back();
  r.kld_median = percentile(sorted, 0.5);
  r.kld_999 = percentile(sorted, 0.999), r.kld_99 = percentile(sorted, 0.99), r.kld_95 = percentile(sorted, 0.95);
  r.kld_90 = percentile(sorted, 0.90), r.kld_10 = percentile(sorted, 0.10), r.kld_5 = percentile(sorted, 0.05);
  r.kld_1 = percentile(sorted, 0.01), r.kld_01 = percentile(sorted, 0.001);
  const double p = same / n;
  r.same_top = {p, n > 1 ? std::sqrt(p * (1 - p) / (n - 1)) : 0};
}

void probabilities(DivergenceReport& r, const std::vector<TokenDivergence>& tokens) {
  Sum change, square;
  std::vector<double> sorted;
  for (const TokenDivergence& t : tokens) {
    const double d = std::exp(-t.nll) - std::exp(-t.nll_base);
    change.add(d);
    square.add(d * d);
    sorted.push_back(d);
  }
  std::ranges::sort(sorted);
  const auto n = static_cast<double>(tokens.size());
  r.p_change = mean(change, n);
  const Estimate mean_square = mean(square, n);
  const double rms = std::sqrt(mean_square.value);
  r.p_rms = {rms, rms > 0 ? 0.5 / rms * mean_square.error : 0};
  r.p_min = sorted.front(), r.p_max = sorted.back(), r.p_median = percentile(sorted, 0.5);
  r.p_999 = percentile(sorted, 0.999), r.p_99 = percentile(sorted, 0.99), r.p_95 = percentile(sorted, 0.95);
  r.p_75 = percentile(sorted, 0.75), r.p_25 = percentile(sorted, 0.25), r.p_5 = percentile(sorted, 0.05);
  r.p_1 = percentile(sorted, 0.01), r.p_01 = percentile(sorted, 0.001);
}

}  // namespace

Estimate Likelihood::perplexity() const noexcept {
  if (n_ == 0) return {};
  const auto n = static_cast<double>(n_);
  const double m = sum_ / n, variance = sum2_ / n - m * m;
  const double ppl = std::exp(m);
  return {ppl, variance > 0 && n_ > 1 ? std::sqrt(variance / (n - 1)) * ppl : 0};
}

double nll_of(std::span<const float> logits, Token next) noexcept {
  return softmax(logits).log_sum - double{logits[static_cast<std::size_t>(next)]};
}

TokenDivergence divergence(std::span<const float> logits, std::span<const float> base, Token next) noexcept {
  const Softmax q = softmax(logits), p = softmax(base);
  TokenDivergence t;
  const auto at = static_cast<std::size_t>(next);
  t.nll = q.log_sum - double{logits[at]};
  t.nll_base = p.log_sum - double{base[at]};
  t.same_top = p.top == q.top;
  const double shift = q.log_sum - p.log_sum;
  for (std::size_t i = 0; i < base.size(); ++i) {
    const double log_p = double{base[i]} - p.log_sum;
    t.kld += static_cast<double>(std::exp(static_cast<float>(log_p))) * (double{base[i]} - double{logits[i]} + shift);
  }
  return t;
}

TokenDivergence divergence(std::span<const float> logits, const RoundedRow& base, Token next) noexcept {
  const Softmax q = softmax(logits);
  TokenDivergence t;
  const auto at = static_cast<std::size_t>(next);
  const auto log_p = [&](std::size_t i) { return base.scale * static_cast<float>(base.codes[i]) + base.lowest; };
  t.nll = q.log_sum - double{logits[at]};
  t.nll_base = -double{log_p(at)};
  std::size_t top = 0;
  for (std::size_t i = 0; i < base.codes.size(); ++i) {
    if (base.codes[i] > base.codes[top]) top = i;
    const float l = log_p(i);
    if (l > -16.0f) t.kld += static_cast<double>(std::exp(l)) * (double{l} - double{logits[i]} + q.log_sum);
  }
  t.same_top = top == q.top;
  return t;
}

DivergenceReport Divergence::report() const {
  DivergenceReport r;
  r.count = count();
  if (tokens_.empty()) return r;
  perplexities(r, tokens_);
  divergences(r, tokens_);
  probabilities(r, tokens_);
  return r;
}

}  // namespace mtmd::quality
