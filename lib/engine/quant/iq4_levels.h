// The sixteen levels of IQ4_NL and IQ4_XS, which do not lie evenly, and the nearest of them.
#pragma once

#include "engine/quant/iq_lanes.h"

namespace mtmd::quant::ISA {
namespace {

constexpr int kRun = 32;  // values with a scale of their own
constexpr float kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

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

}  // namespace
}  // namespace mtmd::quant::ISA
