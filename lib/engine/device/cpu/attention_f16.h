// Dot products and weighted sums over half-precision rows of a cache, for several query heads at a time: every value is
// read and widened once. For kernel files only.
#pragma once

#include "engine/device/cpu/half_bits.h"
#include "engine/device/cpu/vec.h"

namespace mtmd::cpu::ISA {
namespace {

/// Heads at a time: with four keys each, their sums stay in registers (32 or 16).
#if defined(MTMD_ISA_avx512)
constexpr int kHeads = 4;
#else
constexpr int kHeads = 2;
#endif

MTMD_INLINE Vec load_f16(const std::uint16_t* p) {
#if defined(MTMD_ISA_avx512)
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(MTMD_ISA_avx2)
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  return Vec{half_to_float(p[0]), half_to_float(p[1]), half_to_float(p[2]), half_to_float(p[3])};
#endif
}

/// The rows of a head lie far apart, where no hardware prefetcher sees them coming: asks for those of the block after
/// this one. The rows may end before; nothing is read there.
MTMD_INLINE void prefetch_row(const std::uint16_t* row, std::int64_t stride, std::int64_t d) {
  constexpr std::int64_t kAhead = 32, kLine = 32;
  for (std::int64_t i = 0; i < d; i += kLine) __builtin_prefetch(row + kAhead * stride + i);
}

/// Four keys.
template <int kN>
MTMD_INLINE void dots4(float* s, std::int64_t s_stride, const float* q, const std::uint16_t* k, std::int64_t stride,
                       std::int64_t d, float scale) {
  Vec acc[kN][4] = {};
  for (std::int64_t i = 0; i < d; i += kLanes) {
    Vec key[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) key[j] = load_f16(k + j * stride + i);
#pragma GCC unroll 4
    for (int h = 0; h < kN; ++h) {
      const Vec v = load(q + h * d + i);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) acc[h][j] += v * key[j];
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < kN; ++h) {
    const Vec4 four = scale * sums(acc[h][0], acc[h][1], acc[h][2], acc[h][3]);
    std::memcpy(s + h * s_stride, &four, sizeof four);
  }
}

template <int kN>
MTMD_INLINE void dots_of(float* s, std::int64_t s_stride, const float* q, const std::uint16_t* k, std::int64_t stride,
                         std::int64_t n, std::int64_t d, float scale) {
  std::int64_t j = 0;
  for (; j + 4 <= n; j += 4, k += 4 * stride) {
    for (int i = 0; i < 4; ++i) prefetch_row(k + i * stride, stride, d);
    dots4<kN>(s + j, s_stride, q, k, stride, d, scale);
  }
  for (; j < n; ++j, k += stride) {
    Vec acc[kN] = {};
    for (std::int64_t i = 0; i < d; i += kLanes) {
      const Vec key = load_f16(k + i);
#pragma GCC unroll 4
      for (int h = 0; h < kN; ++h) acc[h] += load(q + h * d + i) * key;
    }
#pragma GCC unroll 4
    for (int h = 0; h < kN; ++h) s[h * s_stride + j] = scale * sum(acc[h]);
  }
}

/// kVecs registers of columns of kN heads stay in registers over all rows.
template <int kN, int kVecs>
MTMD_INLINE void weighted_f16(float* o, std::int64_t o_stride, const float* p, std::int64_t p_stride,
                              const std::uint16_t* v, std::int64_t stride, std::int64_t n) {
  Vec acc[kN][kVecs];
#pragma GCC unroll 4
  for (int h = 0; h < kN; ++h)
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) acc[h][i] = load(o + h * o_stride + i * kLanes);
  for (std::int64_t j = 0; j < n; ++j, v += stride) {
    prefetch_row(v, stride, kVecs * kLanes);
    Vec value[kVecs];
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) value[i] = load_f16(v + i * kLanes);
#pragma GCC unroll 4
    for (int h = 0; h < kN; ++h) {
      const Vec weight = splat(p[h * p_stride + j]);
#pragma GCC unroll 4
      for (int i = 0; i < kVecs; ++i) acc[h][i] += weight * value[i];
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < kN; ++h)
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) store(o + h * o_stride + i * kLanes, acc[h][i]);
}

template <int kN>
MTMD_INLINE void weighted_of(float* o, std::int64_t o_stride, const float* p, std::int64_t p_stride,
                             const std::uint16_t* v, std::int64_t stride, std::int64_t n, std::int64_t d) {
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= d; i += 4 * kLanes) weighted_f16<kN, 4>(o + i, o_stride, p, p_stride, v + i, stride, n);
  for (; i < d; i += kLanes) weighted_f16<kN, 1>(o + i, o_stride, p, p_stride, v + i, stride, n);
}

void dots_f16(float* s, std::int64_t s_stride, const float* q, std::int64_t n_heads, const std::uint16_t* k,
              std::int64_t stride, std::int64_t n, std::int64_t d, float scale) {
  std::int64_t h = 0;
  for (; h + kHeads <= n_heads; h += kHeads)
    dots_of<kHeads>(s + h * s_stride, s_stride, q + h * d, k, stride, n, d, scale);
  for (; h < n_heads; ++h) dots_of<1>(s + h * s_stride, s_stride, q + h * d, k, stride, n, d, scale);
}

void add_weighted_f16(float* o, std::int64_t o_stride, const float* p, std::int64_t p_stride, std::int64_t n_heads,
                      const std::uint16_t* v, std::int64_t stride, std::int64_t n, std::int64_t d) {
  std::int64_t h = 0;
  for (; h + kHeads <= n_heads; h += kHeads)
    weighted_of<kHeads>(o + h * o_stride, o_stride, p + h * p_stride, p_stride, v, stride, n, d);
  for (; h < n_heads; ++h) weighted_of<1>(o + h * o_stride, o_stride, p + h * p_stride, p_stride, v, stride, n, d);
}

}  // namespace
}  // namespace mtmd::cpu::ISA
