// One-token products of the formats with 16-byte groups of nibbles, 128 values at a time: lane j of one register holds
// the first half of group j, lane j of a second one the other half, so that both are summed up in integers before
// anything is scaled. ActRow::q_pairs has the activations in that order. For kernel files only.
#pragma once

#include "engine/device/cpu/int_formats_avx512.h"

namespace mtmd::cpu {
namespace {

/// 64 values each, as unsigned bytes (q + offset).
struct Pair {
  __m512i first, second;
};

/// Sixteen bytes of each of four blocks.
template <int kStride>
inline __m512i lanes4(const Byte* p) noexcept {
  const __m512i first = _mm512_inserti32x4(_mm512_castsi128_si512(load128(p)), load128(p + kStride), 1);
  return _mm512_inserti32x4(_mm512_inserti32x4(first, load128(p + 2 * kStride), 2), load128(p + 3 * kStride), 3);
}

/// Fifth bits of four blocks: bit j of a word belongs to value j.
template <int kStride>
inline Pair with_fifths(__m512i v, const Byte* high) noexcept {
  const auto bits = [&](int at) {
    std::uint64_t mask = 0;
    for (int j = 0; j < 4; ++j)
      mask |= static_cast<std::uint64_t>(load_as<std::uint16_t>(high + j * kStride + at)) << 16 * j;
    return _cvtu64_mask64(mask);
  };
  const __m512i low = low_nibbles(v), top = high_nibbles(v), sixteen = _mm512_set1_epi8(16);
  return {_mm512_mask_add_epi8(low, bits(0), low, sixteen), _mm512_mask_add_epi8(top, bits(2), top, sixteen)};
}

/// The two groups of a 32-byte run are its low and its high nibbles (Q4_K, Q5_K): runs 0 and 1 of `v`.
inline Pair run_pairs(__m512i v) noexcept {
  return {nibbles_in_turn(_mm512_shuffle_i64x2(v, v, 0xa0)), nibbles_in_turn(_mm512_shuffle_i64x2(v, v, 0xf5))};
}

/// Eight scales, then eight minima, of eight blocks that begin with both.
template <int kStride>
inline __m512 spaced_pairs(const Byte* p) noexcept {
  return _mm512_insertf32x8(_mm512_castps256_ps512(halves8<kStride>(p)), halves8<kStride, 2>(p), 1);
}

/// The eight scales, then the eight minima, of four blocks of Q4_K or Q5_K at once.
inline void scales_k4_of_four(const Byte* const (&b)[4], __m512 (&to)[4]) noexcept {
  const auto each = [](__m128i v) { return _mm512_broadcast_i32x4(v); };
  __m512i v = _mm512_inserti32x4(_mm512_castsi128_si512(load128(b[0])), load128(b[1]), 1);
  v = _mm512_inserti32x4(_mm512_inserti32x4(v, load128(b[2]), 2), load128(b[3]), 3);
  // Of the first four of both the low six bits of a byte, of the others four bits ...
  const __m512i from = each(_mm_setr_epi8(4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
  const __m512i low = _mm512_srlv_epi16(_mm512_shuffle_epi8(v, from), each(_mm_setr_epi16(0, 0, 0, 0, 0, 0, 4, 4)));
  // ... and the two bits that the bytes of the first four have left.
  const __m512i rest = each(_mm_setr_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 8, 9, 10, 11));
  const __m512i high = _mm512_srli_epi16(_mm512_shuffle_epi8(v, rest), 2);
  alignas(64) Byte six[4][16];
  _mm512_store_si512(six, _mm512_or_si512(_mm512_and_si512(low, _mm512_set1_epi64(0x0f0f0f0f3f3f3f3f)),
                                          _mm512_and_si512(high, _mm512_set1_epi8(0x30))));
  asm volatile("" : "+m"(six));  // or the compiler would shuffle them out of the register
  const __m128i halves = _mm512_castsi512_si128(
      _mm512_permutexvar_epi16(_mm512_castsi128_si512(_mm_setr_epi16(0, 1, 8, 9, 16, 17, 24, 25)), v));
  const __m128i sign = _mm_set1_epi32(static_cast<int>(0x80000000));  // minima are subtracted
  const __m512 d = _mm512_castps256_ps512(_mm256_cvtph_ps(_mm_xor_si128(halves, sign)));
  const __m512i both = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi32(1), 1);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    to[i] = _mm512_mul_ps(_mm512_permutexvar_ps(_mm512_add_epi32(both, _mm512_set1_epi32(2 * i)), d),
                          _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load128(six[i]))));
}

/// load(b, h): half h of a step. scales(b): by group; with a minimum the minima follow. Formats whose scales are taken
/// for four rows at once have scales_of_four instead.
template <class F>
struct Paired {};

template <>
struct Paired<Q4_0> {
  static Pair load(const Byte* b, int h) noexcept {
    const __m512i v = lanes4<18>(b + h * 72 + 2);
    return {low_nibbles(v), high_nibbles(v)};
  }
  static __m512 scales(const Byte* b) noexcept { return _mm512_zextps256_ps512(halves8<18>(b)); }
};

template <>
struct Paired<Q4_1> {
  static Pair load(const Byte* b, int h) noexcept {
    const __m512i v = lanes4<20>(b + h * 80 + 4);
    return {low_nibbles(v), high_nibbles(v)};
  }
  static __m512 scales(const Byte* b) noexcept { return spaced_pairs<20>(b); }
};

template <>
struct Paired<Q5_0> {
  static Pair load(const Byte* b, int h) noexcept {
    return with_fifths<22>(lanes4<22>(b + h * 88 + 6), b + h * 88 + 2);
  }
  static __m512 scales(const Byte* b) noexcept { return _mm512_zextps256_ps512(halves8<22>(b)); }
};

template <>
struct Paired<Q5_1> {
  static Pair load(const Byte* b, int h) noexcept {
    return with_fifths<24>(lanes4<24>(b + h * 96 + 8), b + h * 96 + 4);
  }
  static __m512 scales(const Byte* b) noexcept { return spaced_pairs<24>(b); }
};

template <>
struct Paired<Q4_K> {
  static Pair load(const Byte* b, int h) noexcept { return run_pairs(_mm512_loadu_si512(b + 16 + h * 64)); }
  static void scales_of_four(const Byte* const (&b)[4], __m512 (&to)[4]) noexcept { scales_k4_of_four(b, to); }
};

template <>
struct Paired<Q5_K> {
  static Pair load(const Byte* b, int h) noexcept {
    Pair p = run_pairs(_mm512_loadu_si512(b + 48 + h * 64));
    const auto lane = [](int v) { return _mm_set1_epi8(static_cast<char>(v)); };
    const __m512i bit = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(lane(2 << 4 * h), lane(1 << 4 * h))),
                                           _mm256_set_m128i(lane(8 << 4 * h), lane(4 << 4 * h)), 1);
    const __m512i high[2] = {_mm512_broadcast_i32x4(load128(b + 16)), _mm512_broadcast_i32x4(load128(b + 32))};
    const __m512i sixteen = _mm512_set1_epi8(16);
    p.first = _mm512_mask_add_epi8(p.first, _mm512_test_epi8_mask(high[0], bit), p.first, sixteen);
    p.second = _mm512_mask_add_epi8(p.second, _mm512_test_epi8_mask(high[1], bit), p.second, sixteen);
    return p;
  }
  static void scales_of_four(const Byte* const (&b)[4], __m512 (&to)[4]) noexcept { scales_k4_of_four(b, to); }
};

template <>
struct Paired<IQ4_NL> {
  static Pair load(const Byte* b, int h) noexcept {
    const Pair p = Paired<Q4_0>::load(b, h);
    return {lookup(p.first, kIq4Values), lookup(p.second, kIq4Values)};
  }
  static __m512 scales(const Byte* b) noexcept { return _mm512_zextps256_ps512(halves8<18>(b)); }
};

template <>
struct Paired<IQ4_XS> {
  static Pair load(const Byte* b, int h) noexcept {
    const __m512i v = _mm512_loadu_si512(b + 8 + h * 64);
    return {lookup(low_nibbles(v), kIq4Values), lookup(high_nibbles(v), kIq4Values)};
  }
  static __m512 scales(const Byte* b) noexcept { return Wide<IQ4_XS>::scales(b).scale; }
};

template <>
struct Paired<MXFP4> {
  static Pair load(const Byte* b, int h) noexcept {
    const __m512i v = lanes4<17>(b + h * 68 + 1);
    return {lookup(low_nibbles(v), kMxfp4Values), lookup(high_nibbles(v), kMxfp4Values)};
  }
  static __m512 scales(const Byte* b) noexcept { return Wide<MXFP4>::scales(b).scale; }
};

template <class F>
concept HasPairs = requires(const Byte* b) {
  Paired<F>::load(b, 0);
};

}  // namespace
}  // namespace mtmd::cpu
