// IQ4_NL and IQ4_XS: sixteen levels that do not lie evenly. Sixteen scales are tried at once, one in each lane.
#include "engine/quant/formats.h"
#include "engine/quant/iq4_improve.h"

namespace mtmd::quant::ISA {
namespace {

constexpr float kTiny = 1e-15f;
constexpr int kRuns = 8;  // of a block of IQ4_XS

/// The scale of one run, by least squares for the best of sixteen candidates.
float fit_scale(const float* x, const float* weight) {
  float largest = 0, magnitude = 0;
  for (int j = 0; j < kRun; ++j)
    if (__builtin_fabsf(x[j]) > magnitude) {
      magnitude = __builtin_fabsf(x[j]);
      largest = x[j];
    }
  if (magnitude < kTiny) return 0;
  // Lane 0 and lanes 1 to 15: the largest value at the other end, 127, and at -134 … -120.
  const Ints16 step = {0, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
  Floats16 inverse = (floats16(step) + kLevels[0]) / largest;
  inverse[0] = 1 / (-largest / kLevels[0]);
  Floats16 sum_qx = {}, sum_q2 = {};
  for (int j = 0; j < kRun; ++j) {
    const Floats16 q = nearest_value(inverse * x[j]), wq = weight[j] * q;
    sum_qx += wq * x[j];
    sum_q2 += wq * q;
  }
  alignas(64) float qx[kWide], q2[kWide];
  store16(qx, sum_qx);
  store16(q2, sum_q2);
  float scale = qx[0] / q2[0], best = scale * qx[0];
  for (int i = 1; i < kWide; ++i) {
    if (q2[i] > 0 && qx[i] * qx[i] > best * q2[i]) {
      scale = qx[i] / q2[i];
      best = scale * qx[i];
    }
  }
  return scale;
}

/// Mean square of the block, twice.
MTMD_INLINE float energy_of(const float* x, int n) {
  float sum = 0;
  for (int i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum * (2.0f / static_cast<float>(n));
}

MTMD_INLINE void set_weights(const float* x, const float* importance, float energy, float* weight) {
  for (int j = 0; j < kRun; ++j)
    weight[j] = importance ? importance[j] * __builtin_sqrtf(energy + x[j] * x[j]) : x[j] * x[j];
}

MTMD_INLINE void store_levels(const float* x, float inverse, std::byte* out) {
  for (int j = 0; j < 16; ++j)
    out[j] = static_cast<std::byte>(nearest_index(inverse * x[j]) | nearest_index(inverse * x[j + 16]) << 4);
}

MTMD_INLINE void write_nl(const float* x, float scale, float inverse, std::byte* out) {
  store(out, narrowed(scale));
  store_levels(x, inverse, out + 2);
}

void improve_nl(const float* x, const float* importance, float scale, std::byte* block) {
  Improver4<1> improver(x, importance);
  const float starts[] = {scale, fit_wide(improver.x, improver.w)};
  for (const float start : starts) {
    improver.d = stored(start);
    for (int round = 0; round < 4; ++round) {
      std::byte candidate[18];
      write_nl(x, improver.d, inverse_or_zero(improver.d), candidate);
      keep_better<18>(decode_iq4_nl, candidate, x, importance, kRun, block);
      improver.refit();
    }
  }
}

/// Levels follow d as given, which need not be the half-precision number that is stored.
void write_xs(const float* x, float d, const int* s, std::byte* out) {
  store(out, narrowed(d));
  unsigned low = 0, high = 0;
  for (int g = 0; g < kRuns; ++g) {
    store_levels(x + kRun * g, inverse_or_zero(d * static_cast<float>(s[g])), out + 8 + 16 * g);
    low |= static_cast<unsigned>((s[g] + 32) & 15) << 4 * g;
    high |= static_cast<unsigned>((s[g] + 32) >> 4) << 2 * g;
  }
  store(out + 2, static_cast<std::uint16_t>(high));
  store(out + 4, static_cast<std::uint32_t>(low));
}

/// From the scale of the block that was found, and from one for scales with the weights of the error.
void improve_xs(const float* x, const float* importance, float d, std::byte* block) {
  Improver4<kRuns> improver(x, importance);
  float largest = 0;
  for (int g = 0; g < kRuns; ++g) {
    const float scale = fit_wide(improver.x + kRun * g, improver.w + kRun * g);
    if (__builtin_fabsf(scale) > __builtin_fabsf(largest)) largest = scale;
  }
  const float starts[] = {d, -largest / 32, -largest / 30};
  for (const float start : starts) {
    improver.d = stored(start);
    for (int round = 0; round < 3; ++round) {
      for (int g = 0; g < kRuns; ++g) improver.choose_scale(g);
      improver.refit();
    }
    std::byte candidate[136];
    write_xs(x, improver.d, improver.s, candidate);
    keep_better<136>(decode_iq4_xs, candidate, x, importance, kRuns * kRun, block);
  }
}

}  // namespace

void encode_iq4_nl(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort) {
  for (; n > 0; n -= kRun, x += kRun, b += 18) {
    float weight[kRun];
    set_weights(x, importance, energy_of(x, kRun), weight);
    const float scale = fit_scale(x, weight);
    write_nl(x, scale, inverse_or_zero(scale), b);
    if (effort == Effort::best) improve_nl(x, importance, scale, b);
    if (importance) importance += kRun;
  }
}

void encode_iq4_xs(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort) {
  for (; n > 0; n -= kRuns * kRun, x += kRuns * kRun, b += 136) {
    const float energy = energy_of(x, kRuns * kRun);
    float scales[kRuns], largest = 0;
    for (int g = 0; g < kRuns; ++g) {
      float weight[kRun];
      set_weights(x + kRun * g, importance ? importance + kRun * g : nullptr, energy, weight);
      scales[g] = fit_scale(x + kRun * g, weight);
      if (__builtin_fabsf(scales[g]) > __builtin_fabsf(largest)) largest = scales[g];
    }
    const float d = -largest / 32, inverse = inverse_or_zero(d);
    int s[kRuns];
    for (int g = 0; g < kRuns; ++g) s[g] = clamped_int(inverse * scales[g], -32, 31);
    write_xs(x, d, s, b);
    if (effort == Effort::best) improve_xs(x, importance, d, b);
    if (importance) importance += kRuns * kRun;
  }
}

}  // namespace mtmd::quant::ISA
