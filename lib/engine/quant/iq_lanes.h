// Sixteen lanes for the IQ encoders, in every file that is compiled per instruction set (kernels.h): one lane is one
// candidate scale or one codebook entry. Compiler vectors; intrinsics only where a table is looked up in registers.
#pragma once

#include <cstdint>
#include <cstring>

#include "engine/quant/iq_tables.h"
#include "engine/quant/lanes.h"

#define MTMD_INLINE [[gnu::always_inline, maybe_unused]] inline

namespace mtmd::quant::ISA {
namespace {

constexpr int kWide = 16;  // whatever the registers of the machine; lanes.h has as many as they hold
using Floats16 = float __attribute__((vector_size(64)));
using Ints16 = std::int32_t __attribute__((vector_size(64)));

MTMD_INLINE Floats16 splat16(float v) { return v - Floats16{}; }
MTMD_INLINE Ints16 splat16(std::int32_t v) { return v - Ints16{}; }
MTMD_INLINE Floats16 load16(const float* p) {
  Floats16 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
MTMD_INLINE void store16(float* p, Floats16 v) { std::memcpy(p, &v, sizeof v); }
MTMD_INLINE void store16(std::int32_t* p, Ints16 v) { std::memcpy(p, &v, sizeof v); }
MTMD_INLINE Floats16 floats16(Ints16 v) { return __builtin_convertvector(v, Floats16); }

/// Ties to even (lanes.h); what leaves 23 bits wraps around as in the reference quantiser.
MTMD_INLINE int nearest_int(float v) {
  return static_cast<int>(__builtin_bit_cast(std::uint32_t, v + kRounder) & 0x7fffffu) - 0x400000;
}
MTMD_INLINE int clamped_int(float v, int low, int high) {
  const int i = nearest_int(v);
  return i < low ? low : i > high ? high : i;
}

/// Nearest integers of v cut off at 0 and `top` (a whole number); a NaN becomes 0.
MTMD_INLINE Ints16 nearest_level(Floats16 v, float top) {
#if defined(MTMD_ISA_avx512)
  const Floats16 cut = _mm512_min_ps(_mm512_max_ps(v, _mm512_setzero_ps()), _mm512_set1_ps(top));
#else
  Floats16 cut = v > 0.0f ? v : Floats16{};
  cut = cut < top ? cut : splat16(top);
#endif
  return reinterpret_cast<Ints16>(cut + kRounder) & 0xff;
}

/// Bit i = lane i of a comparison.
MTMD_INLINE unsigned bits_of(Ints16 comparison) {
#if defined(MTMD_ISA_avx512)
  return _mm512_movepi32_mask(reinterpret_cast<__m512i>(comparison));
#elif defined(MTMD_ISA_avx2)
  __m256 half[2];
  std::memcpy(half, &comparison, sizeof half);
  return static_cast<unsigned>(_mm256_movemask_ps(half[0]) | _mm256_movemask_ps(half[1]) << 8);
#elif defined(__x86_64__)
  __m128 quarter[4];
  std::memcpy(quarter, &comparison, sizeof quarter);
  return static_cast<unsigned>(_mm_movemask_ps(quarter[0]) | _mm_movemask_ps(quarter[1]) << 4 |
                               _mm_movemask_ps(quarter[2]) << 8 | _mm_movemask_ps(quarter[3]) << 12);
#else
  unsigned bits = 0;
  for (int i = 0; i < kWide; ++i) bits |= static_cast<unsigned>(comparison[i] & 1) << i;
  return bits;
#endif
}

/// A table of 16 numbers by the low four bits of each lane of `index`.
MTMD_INLINE Floats16 lookup16(Floats16 table, Ints16 index) {
#if defined(MTMD_ISA_avx512)
  return _mm512_permutexvar_ps(reinterpret_cast<__m512i>(index), table);
#else
  Floats16 v;
  for (int i = 0; i < kWide; ++i) v[i] = table[index[i] & 15];
  return v;
#endif
}

/// Error terms of one run for every level: term[kLevels * i + l] is what value i contributes at level number l, with
/// kLevels = 4 for runs of eight and 8 for runs of four.
template <int Width>
struct Terms {
  Floats16 low, high;
};

/// Position in the list of the smallest sum of terms, summed in the order of the values; the first of equals.
template <int Width>
MTMD_INLINE int smallest_sum(const std::uint16_t* codes, int n_registers, const Terms<Width>& t) {
#if defined(MTMD_ISA_avx512)
  __m512 term[8];
  if constexpr (Width == 8) {
    term[0] = _mm512_shuffle_f32x4(t.low, t.low, 0x00);
    term[1] = _mm512_shuffle_f32x4(t.low, t.low, 0x55);
    term[2] = _mm512_shuffle_f32x4(t.low, t.low, 0xaa);
    term[3] = _mm512_shuffle_f32x4(t.low, t.low, 0xff);
    term[4] = _mm512_shuffle_f32x4(t.high, t.high, 0x00);
    term[5] = _mm512_shuffle_f32x4(t.high, t.high, 0x55);
    term[6] = _mm512_shuffle_f32x4(t.high, t.high, 0xaa);
    term[7] = _mm512_shuffle_f32x4(t.high, t.high, 0xff);
  }
  const auto distances = [&](int r) {
    const __m512i c = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + kWide * r)));
    if constexpr (Width == 4) {
      __m512 d = _mm512_permutexvar_ps(c, t.low);
      d = _mm512_add_ps(d, _mm512_permutexvar_ps(_mm512_srli_epi32(c, 4), t.low));
      d = _mm512_add_ps(d, _mm512_permutexvar_ps(_mm512_srli_epi32(c, 8), t.high));
      return _mm512_add_ps(d, _mm512_permutexvar_ps(_mm512_srli_epi32(c, 12), t.high));
    } else {
      __m512 d = _mm512_permutevar_ps(term[0], c);
      d = _mm512_add_ps(d, _mm512_permutevar_ps(term[1], _mm512_srli_epi32(c, 2)));
      d = _mm512_add_ps(d, _mm512_permutevar_ps(term[2], _mm512_srli_epi32(c, 4)));
      d = _mm512_add_ps(d, _mm512_permutevar_ps(term[3], _mm512_srli_epi32(c, 6)));
      d = _mm512_add_ps(d, _mm512_permutevar_ps(term[4], _mm512_srli_epi32(c, 8)));
      d = _mm512_add_ps(d, _mm512_permutevar_ps(term[5], _mm512_srli_epi32(c, 10)));
      d = _mm512_add_ps(d, _mm512_permutevar_ps(term[6], _mm512_srli_epi32(c, 12)));
      return _mm512_add_ps(d, _mm512_permutevar_ps(term[7], _mm512_srli_epi32(c, 14)));
    }
  };
  __m512 best = distances(0);
  __m512i where = _mm512_setzero_si512();
  for (int r = 1; r < n_registers; ++r) {
    const __m512 d = distances(r);
    const __mmask16 nearer = _mm512_cmp_ps_mask(d, best, _CMP_LT_OQ);
    best = _mm512_mask_mov_ps(best, nearer, d);
    where = _mm512_mask_mov_epi32(where, nearer, _mm512_set1_epi32(r));
  }
  const __m512 least = _mm512_set1_ps(_mm512_reduce_min_ps(best));
  unsigned equal = _mm512_cmp_ps_mask(best, least, _CMP_EQ_OQ);
  if (n_registers == 1) return equal ? __builtin_ctz(equal) : 0;
  const __m512i position = _mm512_add_epi32(_mm512_slli_epi32(where, 4),
                                            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  if (!equal) return 0;
  if ((equal & (equal - 1)) == 0)
    return _mm512_cvtsi512_si32(_mm512_maskz_compress_epi32(static_cast<__mmask16>(equal), position));
  return static_cast<int>(_mm512_mask_reduce_min_epu32(static_cast<__mmask16>(equal), position));
#elif defined(MTMD_ISA_avx2)
  alignas(64) float term[32];
  store16(term, t.low);
  store16(term + kWide, t.high);
  __m256 best = _mm256_set1_ps(__builtin_inff());
  __m256i where = _mm256_setzero_si256();
  for (int r = 0; r < 2 * n_registers; ++r) {
    const __m256i c = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + 8 * r)));
    __m256 d;
    if constexpr (Width == 4) {
      d = _mm256_permutevar8x32_ps(_mm256_load_ps(term), c);
      d = _mm256_add_ps(d, _mm256_permutevar8x32_ps(_mm256_load_ps(term + 8), _mm256_srli_epi32(c, 4)));
      d = _mm256_add_ps(d, _mm256_permutevar8x32_ps(_mm256_load_ps(term + 16), _mm256_srli_epi32(c, 8)));
      d = _mm256_add_ps(d, _mm256_permutevar8x32_ps(_mm256_load_ps(term + 24), _mm256_srli_epi32(c, 12)));
    } else {
      const auto of = [&](int i) {
        return _mm256_permutevar_ps(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(term + 4 * i)),
                                    _mm256_srli_epi32(c, 2 * i));
      };
      d = of(0);
      for (int i = 1; i < 8; ++i) d = _mm256_add_ps(d, of(i));
    }
    const __m256 nearer = _mm256_cmp_ps(d, best, _CMP_LT_OQ);
    best = _mm256_blendv_ps(best, d, nearer);
    where = _mm256_blendv_epi8(where, _mm256_set1_epi32(8 * r), _mm256_castps_si256(nearer));
  }
  alignas(32) float least[8];
  alignas(32) std::int32_t at[8];
  _mm256_store_ps(least, best);
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), where);
  int position = at[0];
  float smallest = least[0];
  for (int i = 1; i < 8; ++i)
    if (least[i] < smallest || (least[i] == smallest && at[i] + i < position)) {
      smallest = least[i];
      position = at[i] + i;
    }
  return position;
#else
  float term[32], best = __builtin_inff();
  store16(term, t.low);
  store16(term + kWide, t.high);
  int position = 0;
  for (int e = 0; e < kWide * n_registers; ++e) {
    const unsigned c = codes[e];
    float d;
    if constexpr (Width == 4) {
      d = term[c & 15u] + term[c >> 4 & 15u];
      d += term[16 + (c >> 8 & 15u)];
      d += term[16 + (c >> 12)];
    } else {
      d = term[c & 3u];
      for (unsigned i = 1; i < 8; ++i) d += term[4 * i + (c >> 2 * i & 3u)];
    }
    if (d < best) {
      best = d;
      position = e;
    }
  }
  return position;
#endif
}

/// Value i of a run, kLevels times: the layout of Terms. Reads sixteen values from `run`.
template <int Width>
MTMD_INLINE Terms<Width> spread(const float* run) {
  constexpr int n = 32 / Width;
  const Ints16 value = Ints16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} / n;
  const Floats16 values = load16(run);
  return {lookup16(values, value), lookup16(values, value + Width / 2)};
}

/// weight * (scale * level - x)^2 for all values and levels of a run.
template <int Width>
MTMD_INLINE Terms<Width> error_terms(const Terms<Width>& x, const Terms<Width>& weight, Floats16 levels, float scale) {
  const Floats16 scaled = levels * scale, low = scaled - x.low, high = scaled - x.high;
  return {weight.low * low * low, weight.high * high * high};
}

}  // namespace
}  // namespace mtmd::quant::ISA
