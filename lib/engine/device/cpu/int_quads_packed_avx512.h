// Two rows of 4-bit formats in the order of ActQuads: transposed while a byte still holds two values, which takes half
// as many permutations as afterwards. For kernel files only.
#pragma once

#include "engine/device/cpu/int_pairs_avx512.h"

namespace mtmd::cpu {
namespace {

inline __m512i merged(__m512i a, __m512i index, __m512i b) noexcept { return _mm512_permutex2var_epi32(a, index, b); }

/// Lane l of the result: l of the lower half is index[l] + j of `a`, l of the upper half the same of `b`.
inline __m512i rows_index(__m256i index, int j) noexcept {
  const __m256i at = _mm256_add_epi32(index, _mm256_set1_epi32(j));
  return _mm512_inserti64x4(_mm512_castsi256_si512(at), _mm256_add_epi32(at, _mm256_set1_epi32(16)), 1);
}

/// Four runs of 32 bytes whose low and high nibbles are the values of two groups: 128-bit lane k of part[q] has quad
/// 4 q + k of each run.
struct Runs {
  Runs(const Byte* row) noexcept : Runs(_mm512_loadu_si512(row), _mm512_loadu_si512(row + 64)) {}
  Runs(__m512i first, __m512i second) noexcept {
    const __m512i at = _mm512_setr_epi32(0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 3, 11, 19, 27);
    part[0] = merged(first, at, second);
    part[1] = merged(first, _mm512_add_epi32(at, _mm512_set1_epi32(4)), second);
  }
  __m512i part[2];
};

/// Eight groups of 16 bytes of two rows, the first four in `low`: packed[j] has quad j of all of them in its low
/// nibbles, quad j + 4 in the high ones.
inline void group_quads(const __m512i (&low)[2], const __m512i (&high)[2], __m512i (&packed)[4]) noexcept {
  const __m512i at = _mm512_setr_epi32(0, 8, 16, 24, 4, 12, 20, 28, 1, 9, 17, 25, 5, 13, 21, 29);
#pragma GCC unroll 2
  for (int m = 0; m < 2; ++m) {
    const __m512i index = _mm512_add_epi32(at, _mm512_set1_epi32(2 * m));
    const __m512i first = merged(low[0], index, high[0]), second = merged(low[1], index, high[1]);
    packed[2 * m] = _mm512_shuffle_i64x2(first, second, 0x44);
    packed[2 * m + 1] = _mm512_shuffle_i64x2(first, second, 0xee);
  }
}

/// Rows of four runs, whose groups take turns: the even ones are low nibbles.
inline void run_quads(const Byte* first_row, const Byte* second_row, __m512i (&w)[8]) noexcept {
  const Runs first(first_row), second(second_row);
#pragma GCC unroll 2
  for (int q = 0; q < 2; ++q) {
    w[4 * q] = nibbles_in_turn(_mm512_shuffle_i32x4(first.part[q], second.part[q], 0x00));
    w[4 * q + 1] = nibbles_in_turn(_mm512_shuffle_i32x4(first.part[q], second.part[q], 0x55));
    w[4 * q + 2] = nibbles_in_turn(_mm512_shuffle_i32x4(first.part[q], second.part[q], 0xaa));
    w[4 * q + 3] = nibbles_in_turn(_mm512_shuffle_i32x4(first.part[q], second.part[q], 0xff));
  }
}

/// take(rows, w): as take_quads. Empty for formats that are not packed so.
template <class F>
struct PackedQuads {};

template <>
struct PackedQuads<Q4_K> {
  static void take(const Byte* const (&rows)[2], __m512i (&w)[8]) noexcept { run_quads(rows[0] + 16, rows[1] + 16, w); }
};

template <>
struct PackedQuads<Q5_K> {
  static void take(const Byte* const (&rows)[2], __m512i (&w)[8]) noexcept {
    run_quads(rows[0] + 48, rows[1] + 48, w);
    const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[1] + 16));
    const __m512i high = _mm512_inserti64x4(twice(rows[0] + 16), second, 1);
    const __m256i bits = _mm256_setr_epi32(0x01010101, 0x04040404, 0x10101010, 0x40404040, 0x02020202, 0x08080808,
                                           0x20202020, static_cast<int>(0x80808080));
    const __m512i bit = _mm512_broadcast_i64x4(bits);
    const __m512i row = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi32(8), 1);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const __m512i quad = _mm512_permutexvar_epi32(_mm512_add_epi32(row, _mm512_set1_epi32(j)), high);
      w[j] = _mm512_mask_add_epi8(w[j], _mm512_test_epi8_mask(quad, bit), w[j], _mm512_set1_epi8(16));
    }
  }
};

template <>
struct PackedQuads<Q6_K> {
  static void take(const Byte* const (&rows)[2], __m512i (&w)[8]) noexcept {
    const Runs first(rows[0]), second(rows[1]);
    const __m512i high[2] = {_mm512_loadu_si512(rows[0] + 128), _mm512_loadu_si512(rows[1] + 128)};
    // Each half of 128 values has two runs: their low nibbles are its groups 0 and 1, the high ones its groups 2 and 3;
    // and 32 bytes with two bits of each of the four.
    const __m256i runs = _mm256_setr_epi32(0, 0, 2, 2, 1, 1, 3, 3), halves = _mm256_setr_epi32(0, 0, 8, 8, 0, 0, 8, 8);
    const __m512i shift = _mm512_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4);
    const __m512i turn = _mm512_setr_epi32(4, 0, 4, 0, 2, 30, 2, 30, 4, 0, 4, 0, 2, 30, 2, 30);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const __m512i nibble = low_nibbles(
          _mm512_srlv_epi32(merged(first.part[j / 4], rows_index(runs, j % 4 * 4), second.part[j / 4]), shift));
      const __m512i two = _mm512_rolv_epi32(merged(high[0], rows_index(halves, j), high[1]), turn);
      w[j] = _mm512_or_si512(nibble, _mm512_and_si512(two, _mm512_set1_epi8(0x30)));
    }
  }
};

/// Formats whose groups are 16 bytes of nibbles, kStride apart, kFirst bytes into a row. kTable: what a nibble stands
/// for; null: itself.
template <int kStride, int kFirst, const Int8* kTable = nullptr>
struct PackedGroups {
  static void take(const Byte* const (&rows)[2], __m512i (&w)[8]) noexcept {
    const auto groups = [&](int r, int g) { return lanes4<kStride>(rows[r] + kFirst + g * kStride); };
    const __m512i low[2] = {groups(0, 0), groups(1, 0)}, high[2] = {groups(0, 4), groups(1, 4)};
    __m512i packed[4];
    group_quads(low, high, packed);
    const auto meant = [](__m512i nibbles) {
      if constexpr (kTable == nullptr)
        return nibbles;
      else
        return lookup(nibbles, kTable);
    };
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) w[j] = meant(low_nibbles(packed[j])), w[j + 4] = meant(high_nibbles(packed[j]));
  }
};

template <>
struct PackedQuads<Q4_0> : PackedGroups<18, 2> {};
template <>
struct PackedQuads<Q4_1> : PackedGroups<20, 4> {};
template <>
struct PackedQuads<IQ4_NL> : PackedGroups<18, 2, kIq4Values> {};
template <>
struct PackedQuads<IQ4_XS> : PackedGroups<16, 8, kIq4Values> {};
template <>
struct PackedQuads<MXFP4> : PackedGroups<17, 1, kMxfp4Values> {};

}  // namespace
}  // namespace mtmd::cpu
