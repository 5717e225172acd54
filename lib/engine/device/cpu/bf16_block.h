// c [32, 32] = a b in bf16 with sums in f32, the step that products of bf16 are made of: with tile registers (amx) or
// with vectors of pairs (avx512). For kernel files only.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "engine/device/cpu/transpose.h"

namespace mtmd::cpu::ISA {
namespace {

constexpr std::int64_t kBlockRows = 32;        // of a, and columns of b
constexpr std::int64_t kBlockDepth = 32;       // columns of a that a step multiplies
constexpr std::int64_t kHalfValues = 16 * 32;  // of one half (16 rows of a, 16 columns of b) of a step

/// The left side: row r of step k lies at data[k * step + r * kPitch].
struct Left {
  const std::uint16_t* data;
  std::int64_t step;
};
/// The right side, steps of [2 halves][16 pairs of rows][16 columns][2].
using Right = const std::uint16_t*;

#if defined(MTMD_ISA_amx)

/// Eight tiles of 16 rows of 64 bytes: 0..3 sums, 4 and 5 left, 6 and 7 right.
struct TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileConfig kTileConfig;

/// Tile registers are this thread's between the two.
inline void begin_blocks() noexcept { _tile_loadconfig(&kTileConfig); }
inline void end_blocks() noexcept { _tile_release(); }

/// Keeps two instructions of tiles from entering the core's queues together: where another thread of the same core is
/// busy (a neighbour of a virtual machine) they would take up to 2.5 times as long (docs/limits.md).
inline void apart() noexcept { asm volatile(".rept 8\n\tnop\n\t.endr"); }

/// kTall: all 32 rows, else 16; kWide: all 32 columns, else 16.
template <bool kTall, bool kWide, std::int64_t kPitch, class Meanwhile>
inline void tiles(float* c, std::int64_t pitch, Left a, Right b, std::int64_t steps, bool add,
                  const Meanwhile& meanwhile) noexcept {
  float *const c1 = c + 16, *const c2 = c + 16 * pitch, *const c3 = c2 + 16;
  const auto row = pitch * static_cast<std::int64_t>(sizeof(float));
  asm volatile("" ::: "memory");  // tiles read what vectors wrote
  if (add) {
    _tile_loadd(0, c, row);
    apart();
    if (kWide) _tile_loadd(1, c1, row);
    apart();
    if (kTall) _tile_loadd(2, c2, row);
    apart();
    if (kTall && kWide) _tile_loadd(3, c3, row);
  } else {
    _tile_zero(0);
    if (kWide) _tile_zero(1);
    if (kTall) _tile_zero(2);
    if (kTall && kWide) _tile_zero(3);
  }
  const std::uint16_t* left = a.data;
  for (std::int64_t k = 0; k < steps; ++k, left += a.step, b += 2 * kHalfValues) {
    // Between two instructions of tiles: an eighth of the operands of two steps later, on their way from second-level
    // cache.
    const auto ask = [&](int eighth) __attribute__((always_inline)) {
#pragma GCC unroll 4
      for (int i = eighth * 4; i < eighth * 4 + 4; ++i) {
        if (kTall || i < 16) _mm_prefetch(reinterpret_cast<const char*>(left + 2 * a.step + i * kPitch), _MM_HINT_T0);
        if (kWide || i < 16) _mm_prefetch(reinterpret_cast<const char*>(b + 4 * kHalfValues + i * 32), _MM_HINT_T0);
      }
    };
    _tile_loadd(4, left, kPitch * 2);
    ask(0);
    _tile_loadd(6, b, 64);
    ask(1);
    _tile_dpbf16ps(0, 4, 6);
    ask(2);
    if (kWide) _tile_loadd(7, b + kHalfValues, 64);
    ask(3);
    if (kWide) _tile_dpbf16ps(1, 4, 7);
    ask(4);
    if (kTall) _tile_loadd(5, left + 16 * kPitch, kPitch * 2);
    ask(5);
    if (kTall) _tile_dpbf16ps(2, 5, 6);
    ask(6);
    if (kTall && kWide) _tile_dpbf16ps(3, 5, 7);
    ask(7);
    meanwhile();
  }
  _tile_stored(0, c, row);
  apart();
  if (kWide) _tile_stored(1, c1, row);
  apart();
  if (kTall) _tile_stored(2, c2, row);
  apart();
  if (kTall && kWide) _tile_stored(3, c3, row);
}

/// c = a b, or += with `add`; rows and columns of c beyond the given ones may be written, up to 16 or 32 of them.
/// meanwhile() is called once for each step, or not at all; it may read and write anything but the operands.
template <std::int64_t kPitch, class Meanwhile>
inline void multiply_block(float* c, std::int64_t pitch, Left a, Right b, std::int64_t steps, std::int64_t rows,
                           std::int64_t columns, bool add, const Meanwhile& meanwhile) noexcept {
  if (rows > 16 && columns > 16) return tiles<true, true, kPitch>(c, pitch, a, b, steps, add, meanwhile);
  if (rows > 16) return tiles<true, false, kPitch>(c, pitch, a, b, steps, add, meanwhile);
  if (columns > 16) return tiles<false, true, kPitch>(c, pitch, a, b, steps, add, meanwhile);
  tiles<false, false, kPitch>(c, pitch, a, b, steps, add, meanwhile);
}

#else

inline void begin_blocks() noexcept {}
inline void end_blocks() noexcept {}

/// kRows x kHalves * 16 sums in registers.
template <int kRows, int kHalves, std::int64_t kPitch>
inline void vectors(float* c, std::int64_t pitch, Left a, Right b, std::int64_t steps, bool add) noexcept {
  __m512 sums[kRows][kHalves];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) sums[r][h] = add ? _mm512_loadu_ps(c + r * pitch + h * 16) : _mm512_setzero_ps();
  const std::uint16_t* left = a.data;
  for (std::int64_t k = 0; k < steps; ++k, left += a.step, b += 2 * kHalfValues) {
    for (int pair = 0; pair < 16; ++pair) {
      __m512bh right[kHalves];
#pragma GCC unroll 2
      for (int h = 0; h < kHalves; ++h)
        right[h] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + h * kHalfValues + pair * 32));
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        std::int32_t two;
        __builtin_memcpy(&two, left + r * kPitch + pair * 2, 4);
        const auto both = reinterpret_cast<__m512bh>(_mm512_set1_epi32(two));
#pragma GCC unroll 2
        for (int h = 0; h < kHalves; ++h) sums[r][h] = _mm512_dpbf16_ps(sums[r][h], right[h], both);
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int h = 0; h < kHalves; ++h) _mm512_storeu_ps(c + r * pitch + h * 16, sums[r][h]);
}

/// As above. meanwhile() is not called: vectors have no time left.
template <std::int64_t kPitch, class Meanwhile>
inline void multiply_block(float* c, std::int64_t pitch, Left a, Right b, std::int64_t steps, std::int64_t rows,
                           std::int64_t columns, bool add, const Meanwhile&) noexcept {
  for (std::int64_t r = 0; r < rows; r += 8, c += 8 * pitch, a.data += 8 * kPitch) {
    // 11 + 11 + 10 rows would need fewer loads of b, eight rows at a time leave fewer to no purpose.
    if (columns > 16)
      vectors<8, 2, kPitch>(c, pitch, a, b, steps, add);
    else
      vectors<8, 1, kPitch>(c, pitch, a, b, steps, add);
  }
}

#endif

/// 32 floats to bf16, rounded to the nearest, ties to even; `high` follows `low`.
inline __m512i to_bf16(__m512 low, __m512 high) noexcept {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}
/// The lower, upper 16 of 32 bf16 as floats.
inline __m512 low_half(__m512i v) noexcept {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(v)), 16));
}
inline __m512 high_half(__m512i v) noexcept {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(v, 1)), 16));
}

/// What bf16 leaves of x: x - rounded; 0 where x has no finite rounding (an infinity, a NaN), which is kept there
/// alone.
inline __m512 remainder(__m512 x, __m512 rounded) noexcept {
  const __m512 rest = _mm512_sub_ps(x, rounded);
  constexpr int kNotFinite = 0x01 | 0x08 | 0x10 | 0x80;  // NaNs and infinities
  return _mm512_maskz_mov_ps(static_cast<__mmask16>(~_mm512_fpclass_ps_mask(rounded, kNotFinite)), rest);
}

inline __mmask32 first_of_32(std::int64_t n) noexcept { return n >= 32 ? ~0u : n <= 0 ? 0u : (1u << n) - 1; }

/// 32 values on their way into parts.
struct Values {
  __m512 low, high;
  __m512i take_part() noexcept {
    const __m512i part = to_bf16(low, high);
    low = remainder(low, low_half(part)), high = remainder(high, high_half(part));
    return part;
  }
};

inline Values load_f32(const float* p, __mmask32 valid) noexcept {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>(valid), p),
          _mm512_maskz_loadu_ps(static_cast<__mmask16>(valid >> 16), p + 16)};
}

/// One half of a step of Right out of 32 values of each of 16 columns, row(i) -> Values, in parts `part_values` apart.
template <class Row>
inline void pack_half(int parts, std::int64_t part_values, std::uint16_t* to, Row row) noexcept {
  __m512i pairs[3][16];
  for (int i = 0; i < 16; ++i) {
    Values v = row(i);
    for (int part = 0; part < parts; ++part) pairs[part][i] = v.take_part();
  }
  for (int part = 0; part < parts; ++part) {
    transpose16(pairs[part]);
    for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + part * part_values + i * 32, pairs[part][i]);
  }
}

}  // namespace
}  // namespace mtmd::cpu::ISA
