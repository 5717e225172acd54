#include "engine/decoder/routing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mtmd::decoder {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();
/// The reference never divides by less: the smallest normal half.
constexpr float kSmallestSum = 0x1p-14f;

bool contains(const std::int32_t* first, std::int32_t n, std::int32_t e) {
  return std::find(first, first + n, e) != first + n;
}

/// x to e^(x - max) / sum.
void softmax(std::span<float> x) {
  const float top = *std::max_element(x.begin(), x.end());
  float sum = 0.0f;
  for (float& v : x) sum += v = std::exp(v - top);
  for (float& v : x) v /= sum;
}

/// The sum of the two best values (of the one there is).
float best_two(std::span<const float> x) {
  float first = kNone, second = kNone;
  for (float v : x) {
    second = std::max(second, std::min(first, v));
    first = std::max(first, v);
  }
  return x.size() > 1 ? first + second : first;
}

/// Drops the experts outside the best groups, the earlier one among equals. `goodness`: room for one value per group.
void keep_best_groups(std::span<float> order, std::span<float> goodness, std::int32_t n_used) {
  const std::size_t size = order.size() / goodness.size();
  for (std::size_t g = 0; g < goodness.size(); ++g) goodness[g] = best_two(order.subspan(g * size, size));
  for (std::size_t g = 0; g < goodness.size(); ++g) {
    std::int32_t n_better = 0;
    for (std::size_t o = 0; o < goodness.size(); ++o)
      n_better += goodness[o] > goodness[g] || (goodness[o] == goodness[g] && o < g);
    if (n_better >= n_used) std::ranges::fill(order.subspan(g * size, size), kNone);
  }
}

/// The n_used best places of `order`. Also with NaNs everywhere some expert is chosen; the NaN shows in the result.
void choose(std::span<const float> order, std::span<std::int32_t> chosen) {
  for (std::int32_t j = 0; j < std::ssize(chosen); ++j) {
    std::int32_t best = -1;
    for (std::int32_t e = 0; e < std::ssize(order); ++e)
      if ((best < 0 || order[e] > order[best]) && !contains(chosen.data(), j, e)) best = e;
    chosen[j] = best;
  }
}

void weigh(std::span<const float> probabilities, std::span<const std::int32_t> chosen, const DecoderSpec& s,
           std::span<float> weights) {
  for (std::size_t j = 0; j < chosen.size(); ++j) weights[j] = probabilities[chosen[j]];
  if (s.gating == Gating::chosen_softmax) softmax(weights);
  float factor = s.expert_scale;
  if (s.normalised_experts && s.gating != Gating::chosen_softmax) {
    float sum = 0.0f;
    for (float w : weights) sum += w;
    factor /= std::max(sum, kSmallestSum);
  }
  for (float& w : weights) w *= factor;
}

}  // namespace

void route(Tensor scores, const DecoderSpec& s, Vector selection_bias, Routed& routed) {
  const auto n_used = static_cast<std::size_t>(s.n_experts_used), n = static_cast<std::size_t>(scores.cols);
  const bool has_groups = s.n_expert_groups > 1;
  routed.experts.resize(static_cast<std::size_t>(scores.rows) * n_used);
  routed.weights.resize(routed.experts.size());
  routed.order.resize(n + static_cast<std::size_t>(s.n_expert_groups));
  const std::span<float> order = std::span(routed.order).first(n);
  for (std::int64_t t = 0; t < scores.rows; ++t) {
    const std::span<float> row = scores.row_span(t);
    std::ranges::copy(row, order.begin());  // probabilities are in the same order, but round small ones to equals
    if (s.gating == Gating::softmax) softmax(row);
    if (s.gating == Gating::sigmoid)
      for (float& v : row) v = 1.0f / (1.0f + std::exp(-v));
    if (has_groups || !selection_bias.empty())
      for (std::size_t e = 0; e < n; ++e) order[e] = row[e] + (selection_bias.empty() ? 0.0f : selection_bias[e]);
    if (has_groups) keep_best_groups(order, std::span(routed.order).subspan(n), s.n_expert_groups_used);
    const auto at = static_cast<std::size_t>(t) * n_used;
    choose(order, std::span(routed.experts).subspan(at, n_used));
    weigh(row, std::span(routed.experts).subspan(at, n_used), s, std::span(routed.weights).subspan(at, n_used));
  }
}

}  // namespace mtmd::decoder
