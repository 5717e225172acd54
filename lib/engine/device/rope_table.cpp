#include "engine/device/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/base/error.h"

namespace mtmd {
namespace {

/// Which coordinate of the position turns pair i: 0 t, 1 y, 2 x, 3 z.
int pair_axis(const RopeSpec& spec, std::int32_t i) {
  const auto& s = spec.sections;
  const std::int32_t total = s[0] + s[1] + s[2] + s[3];
  if (total == 0) return 0;
  const std::int32_t at = i % total;
  if (!spec.interleaved_sections) return at < s[0] ? 0 : at < s[0] + s[1] ? 1 : at < s[0] + s[1] + s[2] ? 2 : 3;
  const int axis = at % 3;  // t y x t y x …, each as long as its section lasts
  return at < 3 * s[axis] ? axis : 3;
}

/// YaRN: the (fractional) pair that turns `rotations` times within the original context.
double correction_pair(const RopeSpec& spec, double rotations) {
  return spec.n_dims * std::log(spec.original_context / (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(spec.base));
}

/// Where YaRN's mix of frequencies begins and ends, in pairs.
struct Ramp {
  double low = 0.0, high = 0.0;
};

Ramp ramp_of(const RopeSpec& spec) {
  if (spec.yarn_ext_factor == 0.0f) return {};
  return {std::max(0.0, std::floor(correction_pair(spec, spec.yarn_beta_fast))),
          std::min(spec.n_dims - 1.0, std::ceil(correction_pair(spec, spec.yarn_beta_slow)))};
}

/// Angle per position of pair i.
double frequency(const RopeSpec& spec, const Ramp& ramp, std::int32_t i) {
  const double original =
      std::pow(double{spec.base}, -2.0 * i / spec.n_dims) / (spec.factors.empty() ? 1.0 : spec.factors[i]);
  const double interpolated = spec.frequency_scale * original;
  if (spec.yarn_ext_factor == 0.0f) return interpolated;
  const double share = 1.0 - std::clamp((i - ramp.low) / std::max(0.001, ramp.high - ramp.low), 0.0, 1.0);
  const double mix = share * spec.yarn_ext_factor;
  return interpolated * (1.0 - mix) + original * mix;
}

void check(const RopeSpec& spec) {
  const auto& s = spec.sections;
  if (spec.n_dims < 0 || spec.n_dims % 2 != 0)
    fail(ErrorCategory::model, "rope: {} rotated values, expected an even number", spec.n_dims);
  if (!(spec.base > 0.0f)) fail(ErrorCategory::model, "rope: base {} is not positive", spec.base);
  if (!spec.factors.empty() && std::ssize(spec.factors) < spec.n_dims / 2)
    fail(ErrorCategory::model, "rope: {} frequency factors for {} pairs", spec.factors.size(), spec.n_dims / 2);
  if (std::any_of(s.begin(), s.end(), [](std::int32_t n) { return n < 0 || n > 1 << 20; }))
    fail(ErrorCategory::model, "rope: sections {} {} {} {} are not valid", s[0], s[1], s[2], s[3]);
}

void resize(RopeTable& table, std::size_t tokens, std::int64_t pairs) {
  table.tokens = static_cast<std::int64_t>(tokens);
  table.pairs = pairs;
  table.cos.resize(tokens * static_cast<std::size_t>(pairs));
  table.sin.resize(table.cos.size());
}

}  // namespace

void fill_rope_table(RopeTable& table, const RopeSpec& spec, std::span<const Position> positions) {
  check(spec);
  const std::int32_t n_pairs = spec.n_dims / 2;
  const Ramp ramp = ramp_of(spec);
  resize(table, positions.size(), n_pairs);
  for (std::int32_t i = 0; i < n_pairs; ++i) {
    const double f = frequency(spec, ramp, i);
    const int axis = pair_axis(spec, i);
    std::size_t at = static_cast<std::size_t>(i);
    for (const Position& p : positions) {
      const std::array<std::int32_t, 4> coordinate{p.t, p.y, p.x, p.z};
      const double angle = coordinate[axis] * f;
      table.cos[at] = static_cast<float>(std::cos(angle) * spec.magnitude);
      table.sin[at] = static_cast<float>(std::sin(angle) * spec.magnitude);
      at += static_cast<std::size_t>(n_pairs);
    }
  }
}

RopeTable rope_table(const RopeSpec& spec, std::span<const Position> positions) {
  RopeTable table;
  fill_rope_table(table, spec, positions);
  return table;
}

RopeTable vision_rope_table(std::int32_t head_dim, float base, std::span<const Position> positions) {
  if (head_dim <= 0 || head_dim % 4 != 0)
    fail(ErrorCategory::model, "vision rope: head size {} is not a multiple of 4", head_dim);
  const std::int32_t n_pairs = head_dim / 2, half = head_dim / 4;
  RopeTable table;
  resize(table, positions.size(), n_pairs);
  std::vector<double> f(half);
  for (std::int32_t j = 0; j < half; ++j) f[j] = std::pow(double{base}, -4.0 * j / head_dim);
  std::size_t at = 0;
  for (const Position& p : positions) {
    for (std::int32_t i = 0; i < n_pairs; ++i, ++at) {
      const double angle = (i < half ? p.y : p.x) * f[i % half];
      table.cos[at] = static_cast<float>(std::cos(angle));
      table.sin[at] = static_cast<float>(std::sin(angle));
    }
  }
  return table;
}

}  // namespace mtmd
