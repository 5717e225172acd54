#include "mtmd/conformance/reference_resampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

namespace mtmd::conformance {
namespace {

/// A second-order section in the transposed direct form; coefficients are made in double and applied in f32.
class Section {
 public:
  /// `cutoff`: share of the sampling rate; `q`: of the section.
  Section(double cutoff, double q) {
    const double w = 2 * std::numbers::pi * cutoff, c = std::cos(w), alpha = std::sin(w) / (2 * q), a0 = 1 + alpha;
    b0_ = static_cast<float>((1 - c) / 2 / a0), b1_ = static_cast<float>((1 - c) / a0), b2_ = b0_;
    a1_ = static_cast<float>(-2 * c / a0), a2_ = static_cast<float>((1 - alpha) / a0);
  }
  float operator()(float x) noexcept {
    const float y = b0_ * x + r1_;
    r1_ = b1_ * x - a1_ * y + r2_;
    r2_ = b2_ * x - a2_ * y;
    return y;
  }

 private:
  float b0_, b1_, b2_, a1_, a2_, r1_ = 0, r2_ = 0;
};

class LowPass {
 public:
  explicit LowPass(double cutoff) : sections_{Section(cutoff, quality(1)), Section(cutoff, quality(3))} {}
  float operator()(float x) noexcept { return sections_[1](sections_[0](x)); }

 private:
  static double quality(int i) { return 1 / (2 * std::cos(i * std::numbers::pi / 8)); }
  std::array<Section, 2> sections_;
};

}  // namespace

std::vector<float> reference_resample(std::span<const float> samples, int from, int to) {
  if (from == to) return {samples.begin(), samples.end()};
  const int common = std::gcd(from, to), in = from / common, out = to / common;
  LowPass low_pass(std::min(in, out) * 0.5 / std::max(in, out));
  std::vector<float> result;
  float before = 0, now = 0;
  std::size_t next = 0;
  for (int whole = 1, part = 0;;) {  // inputs to take before the next output; position between two, in 1 / out
    for (; whole > 0 && next < samples.size(); --whole) {
      before = now, now = in > out ? low_pass(samples[next]) : samples[next];
      ++next;
    }
    if (whole > 0) return result;
    const float mixed = before + (now - before) * (static_cast<float>(part) / static_cast<float>(out));
    result.push_back(in < out ? low_pass(mixed) : mixed);
    whole = in / out, part += in % out;
    if (part >= out) part -= out, ++whole;
  }
}

}  // namespace mtmd::conformance
