// IQ4_NL and IQ4_XS: sixteen levels that do not lie evenly. Sixteen scales are tried at once, one in each lane.
#include "engine/quant/formats.h"
#include "engine/quant/iq_lanes.h"

namespace mtmd::quant::ISA {
namespace {

constexpr int kRun = 32;  // values with a scale of their own
constexpr float kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr float kTiny = 1e-15f;

/// Levels are at least ten apart: within eight units there is at most one border. By floor(x / 8) + 16: the border,
/// and the level numbers below and from it on.
struct Buckets {
  alignas(64) float border[32], below[32], above[32];
  std::uint8_t index_below[32], index_above[32];
};

constexpr Buckets make_buckets() {
  Buckets b = {};
  for (int i = 0; i < 32; ++i) {
    const float start = static_cast<float>(8 * (i - 16));
    int below = 0;
    while (below < 15 && start >= (kLevels[below] + kLevels[below + 1]) / 2) ++below;
    const float border = below < 15 ? (kLevels[below] + kLevels[below + 1]) / 2 : 1e9f;
    const int above = border < start + 8 ? below + 1 : below;
    b.border[i] = border;
    b.below[i] = kLevels[below];
    b.above[i] = kLevels[above];
    b.index_below[i] = static_cast<std::uint8_t>(below);
    b.index_above[i] = static_cast<std::uint8_t>(above);
  }
  return b;
}
constexpr Buckets kBuckets = make_buckets();

/// The number of the nearest level, of the higher one when halfway.
MTMD_INLINE unsigned nearest_index(float v) {
  const float cut = v > -127.0f ? v < 127.0f ? v : 127.0f : -127.0f;
  const int bucket = static_cast<int>(cut * 0.125f + 16.0f);
  // The sum may round up to the next bucket just below its start, whose border is above v all the same.
  return cut < kBuckets.border[bucket] ? kBuckets.index_below[bucket] : kBuckets.index_above[bucket];
}

/// The nearest level of each lane.
MTMD_INLINE Floats16 nearest_value(Floats16 v) {
#if defined(MTMD_ISA_avx512)
  const __m512 cut = _mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(-127.0f)), _mm512_set1_ps(127.0f));
  const __m512i bucket = _mm512_cvttps_epi32(cut * 0.125f + 16.0f);
  const auto look_up = [&](const float* table) {
    return _mm512_permutex2var_ps(_mm512_load_ps(table), bucket, _mm512_load_ps(table + 16));
  };
  return _mm512_mask_mov_ps(look_up(kBuckets.above), _mm512_cmp_ps_mask(cut, look_up(kBuckets.border), _CMP_LT_OQ),
                            look_up(kBuckets.below));
#else
  Floats16 level;
  for (int i = 0; i < kWide; ++i) level[i] = kLevels[nearest_index(v[i])];
  return level;
#endif
}

/// The scale of one run: sixteen candidates, the first only half of the sum of squares behind the rest.
float fit_scale(const float* x, const float* weight, bool with_steps) {
  float largest = 0, magnitude = 0;
  for (int j = 0; j < kRun; ++j)
    if (__builtin_fabsf(x[j]) > magnitude) {
      magnitude = __builtin_fabsf(x[j]);
      largest = x[j];
    }
  if (magnitude < kTiny) return 0;
  // Lane 0: the largest value at -127 (at its own sign's end without steps); lanes 1 to 15: -134 … -120 there.
  Ints16 step = {0, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
  Floats16 inverse = (floats16(step) + kLevels[0]) / largest;
  inverse[0] = 1 / (with_steps ? -largest / kLevels[0] : largest / kLevels[0]);
  if (!with_steps) inverse[8] = kLevels[0] / largest;
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
    if (!with_steps) break;
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

}  // namespace

void encode_iq4_nl(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort) {
  for (; n > 0; n -= kRun, x += kRun, b += 18) {
    float weight[kRun];
    set_weights(x, importance, energy_of(x, kRun), weight);
    const float scale = fit_scale(x, weight, true);
    store(b, narrowed(scale));
    store_levels(x, scale != 0 ? 1 / scale : 0, b + 2);
    if (importance) importance += kRun;
  }
}

void encode_iq4_xs(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort) {
  constexpr int runs = 8;
  for (; n > 0; n -= runs * kRun, x += runs * kRun, b += 136) {
    const float energy = energy_of(x, runs * kRun);
    float scales[runs], largest = 0, magnitude = 0;
    for (int g = 0; g < runs; ++g) {
      float weight[kRun];
      set_weights(x + kRun * g, importance ? importance + kRun * g : nullptr, energy, weight);
      scales[g] = fit_scale(x + kRun * g, weight, true);
      if (__builtin_fabsf(scales[g]) > magnitude) {
        magnitude = __builtin_fabsf(scales[g]);
        largest = scales[g];
      }
    }
    const float d = -largest / 32, inverse = d != 0 ? 1 / d : 0;
    store(b, narrowed(d));
    unsigned low = 0, high = 0;
    for (int g = 0; g < runs; ++g) {
      const int s = clamped_int(inverse * scales[g], -32, 31);
      const float scale = d * static_cast<float>(s);
      store_levels(x + kRun * g, scale != 0 ? 1 / scale : 0, b + 8 + 16 * g);
      low |= static_cast<unsigned>((s + 32) & 15) << 4 * g;
      high |= static_cast<unsigned>((s + 32) >> 4) << 2 * g;
    }
    store(b + 2, static_cast<std::uint16_t>(high));
    store(b + 4, static_cast<std::uint32_t>(low));
    if (importance) importance += runs * kRun;
  }
}

}  // namespace mtmd::quant::ISA
