// What Effort::best adds to IQ4_NL and IQ4_XS: scales are tried with the weights of the error itself and as they are
// stored, and the scale of the block is fitted to the levels by least squares.
#pragma once

#include "engine/quant/improve.h"
#include "engine/quant/iq4_levels.h"

namespace mtmd::quant::ISA {
namespace {

/// The scale of a run that fits best by least squares: 64 candidates, the largest value at -145 … -114 or 90 … 121.
inline float fit_wide(const float* x, const float* w) {
  float largest = 0;
  for (int j = 0; j < kRun; ++j)
    if (__builtin_fabsf(x[j]) > __builtin_fabsf(largest)) largest = x[j];
  if (largest == 0) return 0;
  float best = 0, scale = largest / kLevels[0];
  const Ints16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  constexpr float starts[] = {-145, -129, 90, 106};
  for (const float start : starts) {
    const Floats16 inverse = (floats16(lane) + start) / largest;
    Floats16 sum_qx = {}, sum_q2 = {};
    for (int j = 0; j < kRun; ++j) {
      const Floats16 q = nearest_value(inverse * x[j]), wq = w[j] * q;
      sum_qx += wq * x[j];
      sum_q2 += wq * q;
    }
    alignas(64) float qx[kWide], q2[kWide];
    store16(qx, sum_qx);
    store16(q2, sum_q2);
    for (int i = 0; i < kWide; ++i)
      if (q2[i] > 0 && qx[i] * qx[i] > best * q2[i]) {
        scale = qx[i] / q2[i];
        best = scale * qx[i];
      }
  }
  return scale;
}

inline float stored(float d) { return widened(narrowed(d)); }
inline float inverse_or_zero(float v) { return v != 0 ? 1 / v : 0; }

/// Adds weight * x * level and weight * level^2 of a run, levels times `factor`.
inline void add_sums(const float* x, const float* w, float inverse, float factor, float& sum_qx, float& sum_q2) {
  for (int j = 0; j < kRun; ++j) {
    const float q = factor * kLevels[nearest_index(inverse * x[j])];
    sum_qx += w[j] * q * x[j];
    sum_q2 += w[j] * q * q;
  }
}

/// A block of kRuns runs.
template <int kRuns>
struct Improver4 {
  float x[kRun * kRuns], w[kRun * kRuns];
  float d = 0;
  int s[kRuns];  ///< -32 … 31; IQ4_NL: 1

  Improver4(const float* values, const float* importance) {
    for (int i = 0; i < kRun * kRuns; ++i) {
      x[i] = values[i];
      w[i] = importance ? importance[i] : 1.0f;
    }
    for (int g = 0; g < kRuns; ++g) s[g] = 1;
  }

  void refit() {
    float sum_qx = 0, sum_q2 = 0;
    for (int g = 0; g < kRuns; ++g) {
      const auto factor = static_cast<float>(s[g]);
      add_sums(x + kRun * g, w + kRun * g, inverse_or_zero(d * factor), factor, sum_qx, sum_q2);
    }
    if (sum_q2 > 0) d = stored(sum_qx / sum_q2);
  }

  /// The best of all 64 scales of run g.
  void choose_scale(int g) {
    const Ints16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    float least = __builtin_inff();
    for (int first = -32; first < 32; first += kWide) {
      const Floats16 scale = d * floats16(lane + first);
      const Floats16 inverse = scale != 0.0f ? 1.0f / scale : Floats16{};
      Floats16 error = {};
      for (int j = kRun * g; j < kRun * (g + 1); ++j) {
        const Floats16 difference = scale * nearest_value(inverse * x[j]) - x[j];
        error += w[j] * difference * difference;
      }
      alignas(64) float errors[kWide];
      store16(errors, error);
      for (int i = 0; i < kWide; ++i)
        if (errors[i] < least) {
          least = errors[i];
          s[g] = first + i;
        }
    }
  }
};

}  // namespace
}  // namespace mtmd::quant::ISA
