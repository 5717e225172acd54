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

inline __m512i low_nibbles(__m512i v) noexcept { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
inline __m512i high_nibbles(__m512i v) noexcept { return low_nibbles(_mm512_srli_epi16(v, 4)); }

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
  const __m512i shift = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
  const __m512i first = _mm512_shuffle_i64x2(v, v, 0xa0), second = _mm512_shuffle_i64x2(v, v, 0xf5);
  return {low_nibbles(_mm512_srlv_epi64(first, shift)), low_nibbles(_mm512_srlv_epi64(second, shift))};
}

/// Scale and minimum in turn, of eight blocks that begin with both.
template <int kStride>
inline __m512 spaced_pairs(const Byte* p) noexcept {
  const auto four = [](const Byte* from) {
    const auto at = [&](int j) { return load_as<std::int32_t>(from + j * kStride); };
    const __m128i two = _mm_insert_epi32(_mm_cvtsi32_si128(at(0)), at(1), 1);
    return _mm_insert_epi32(_mm_insert_epi32(two, at(2), 2), at(3), 3);
  };
  return _mm512_cvtph_ps(_mm256_set_m128i(four(p + 4 * kStride), four(p)));
}

/// Scale and minimum in turn, of the eight groups of Q4_K and Q5_K.
inline __m512 pairs_k4(const Byte* b) noexcept {
  const ScalesK4 k4 = scales_k4_bytes(b);
  const __m128i both = _mm_unpacklo_epi8(k4.scale, k4.min);
  const __m512 d = _mm512_cvtph_ps(_mm256_set1_epi32(load_as<std::int32_t>(b) ^ static_cast<std::int32_t>(0x80000000)));
  return _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(both)));
}

/// load(b, h): half h of a step. scales(b): by group; with a minimum, scale and minimum in turn.
template <class F>
struct Paired {
  static constexpr bool exists = false;
};

struct HasPairs {
  static constexpr bool exists = true;
};

template <>
struct Paired<Q4_0> : HasPairs {
  static Pair load(const Byte* b, int h) noexcept {
    const __m512i v = lanes4<18>(b + h * 72 + 2);
    return {low_nibbles(v), high_nibbles(v)};
  }
  static __m256 scales(const Byte* b) noexcept { return halves8<18>(b); }
};

template <>
struct Paired<Q4_1> : HasPairs {
  static Pair load(const Byte* b, int h) noexcept {
    const __m512i v = lanes4<20>(b + h * 80 + 4);
    return {low_nibbles(v), high_nibbles(v)};
  }
  static __m512 scales(const Byte* b) noexcept { return spaced_pairs<20>(b); }
};

template <>
struct Paired<Q5_0> : HasPairs {
  static Pair load(const Byte* b, int h) noexcept {
    return with_fifths<22>(lanes4<22>(b + h * 88 + 6), b + h * 88 + 2);
  }
  static __m256 scales(const Byte* b) noexcept { return halves8<22>(b); }
};

template <>
struct Paired<Q5_1> : HasPairs {
  static Pair load(const Byte* b, int h) noexcept {
    return with_fifths<24>(lanes4<24>(b + h * 96 + 8), b + h * 96 + 4);
  }
  static __m512 scales(const Byte* b) noexcept { return spaced_pairs<24>(b); }
};

template <>
struct Paired<Q4_K> : HasPairs {
  static Pair load(const Byte* b, int h) noexcept { return run_pairs(_mm512_loadu_si512(b + 16 + h * 64)); }
  static __m512 scales(const Byte* b) noexcept { return pairs_k4(b); }
};

template <>
struct Paired<Q5_K> : HasPairs {
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
  static __m512 scales(const Byte* b) noexcept { return pairs_k4(b); }
};

template <>
struct Paired<IQ4_NL> : HasPairs {
  static Pair load(const Byte* b, int h) noexcept {
    const Pair p = Paired<Q4_0>::load(b, h);
    return {lookup(p.first, kIq4Values), lookup(p.second, kIq4Values)};
  }
  static __m256 scales(const Byte* b) noexcept { return halves8<18>(b); }
};

template <>
struct Paired<IQ4_XS> : HasPairs {
  static Pair load(const Byte* b, int h) noexcept {
    const __m512i v = _mm512_loadu_si512(b + 8 + h * 64);
    return {lookup(low_nibbles(v), kIq4Values), lookup(high_nibbles(v), kIq4Values)};
  }
  static __m256 scales(const Byte* b) noexcept { return _mm512_castps512_ps256(Wide<IQ4_XS>::scales(b).scale); }
};

template <>
struct Paired<MXFP4> : HasPairs {
  static Pair load(const Byte* b, int h) noexcept {
    const __m512i v = lanes4<17>(b + h * 68 + 1);
    return {lookup(low_nibbles(v), kMxfp4Values), lookup(high_nibbles(v), kMxfp4Values)};
  }
  static __m256 scales(const Byte* b) noexcept { return _mm512_castps512_ps256(Wide<MXFP4>::scales(b).scale); }
};

}  // namespace
}  // namespace mtmd::cpu
