// Formats of one scale and very few levels, and NVFP4, for AVX-512 (see int_formats_avx512.h). For kernel files only.
#pragma once

#include "engine/device/cpu/int_formats_avx512.h"
#include "engine/device/cpu/int_formats_small.h"

namespace mtmd::cpu {
namespace {

template <>
struct Wide<TQ1_0> {
  static constexpr int offset = 1;
  /// The powers of 3 by 16-bit lane, times 128-bit lane.
  static __m512i powers(int a, int b, int c, int d) noexcept {
    const auto lane = [](int p) { return _mm_set1_epi16(static_cast<short>(p)); };
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(lane(b), lane(a))),
                              _mm256_set_m128i(lane(d), lane(c)), 1);
  }
  /// floor(3 * (byte * power mod 256) / 256) of every byte.
  static __m512i digits(__m512i bytes, __m512i power) noexcept {
    const __m512i high_bytes = _mm512_and_si512(bytes, _mm512_set1_epi16(-256));
    const __m512i low = _mm512_and_si512(_mm512_mullo_epi16(bytes, power), _mm512_set1_epi16(255));
    const __m512i high = _mm512_mullo_epi16(high_bytes, power);
    return _mm512_or_si512(_mm512_mulhi_epu16(low, _mm512_set1_epi16(768)),
                           _mm512_slli_epi16(_mm512_mulhi_epu16(high, _mm512_set1_epi16(3)), 8));
  }
  static __m512i load(const Byte* b, int i) noexcept {
    const __m512i sixteen = _mm512_broadcast_i32x4(load128(b + 32));
    switch (i) {
      case 0:
        return digits(twice(b), powers(1, 1, 3, 3));
      case 1:
        return digits(twice(b), powers(9, 9, 27, 27));
      case 2:
        return digits(_mm512_inserti64x4(sixteen, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)), 0),
                      powers(81, 81, 1, 3));
      default: {
        const __m128i four = _mm_set1_epi32(load_as<std::int32_t>(b + 48));
        const __m512i power = _mm512_inserti32x4(powers(9, 27, 81, 0), _mm_setr_epi16(1, 1, 3, 3, 9, 9, 27, 27), 3);
        return digits(_mm512_inserti32x4(sixteen, four, 3), power);
      }
    }
  }
  static Scales scales(const Byte* b) noexcept { return wide(_mm256_set1_ps(load_half(b + 52))); }
};

template <>
struct Wide<TQ2_0> {
  static constexpr int offset = 1;
  static __m512i load(const Byte* b, int i) noexcept { return two_bits(b, i); }
  static Scales scales(const Byte* b) noexcept { return wide(_mm256_set1_ps(load_half(b + 64))); }
};

template <>
struct Wide<Q1_0> {
  static constexpr int offset = 1;
  static __m512i load(const Byte* b, int i) noexcept {
    const __mmask64 plus = _cvtu64_mask64(load_as<std::uint64_t>(b + i / 2 * 18 + 2 + i % 2 * 8));
    return _mm512_maskz_set1_epi8(plus, 2);
  }
  static Scales scales(const Byte* b) noexcept {
    return wide(_mm256_set_m128(_mm_set1_ps(load_half(b + 18)), _mm_set1_ps(load_half(b))));
  }
};

template <>
struct Wide<Q2_0> {
  static constexpr int offset = 1;
  static __m512i load(const Byte* b, int i) noexcept {
    __m512i v = _mm512_cvtepu8_epi32(load128(b + i * 18 + 2));  // two bits of each byte to the bottom of four
    v = _mm512_or_si512(v, _mm512_slli_epi32(v, 12));
    v = _mm512_or_si512(v, _mm512_slli_epi32(v, 6));
    return _mm512_and_si512(v, _mm512_set1_epi8(3));
  }
  static Scales scales(const Byte* b) noexcept {
    const __m128 d = _mm_setr_ps(load_half(b), load_half(b + 18), load_half(b + 36), load_half(b + 54));
    return wide(_mm256_permutevar8x32_ps(_mm256_castps128_ps256(d), _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)));
  }
};

template <>
struct Wide<NVFP4> {
  static constexpr int offset = 128;
  static __m512i load(const Byte* b, int i) noexcept {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + i * 36 + 4));
    const __m512i spread =
        _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), _mm512_castsi256_si512(v));
    const __m512i nibbles = _mm512_srlv_epi64(spread, _mm512_setr_epi64(0, 4, 0, 4, 0, 4, 0, 4));
    return lookup(_mm512_and_si512(nibbles, _mm512_set1_epi8(15)), kMxfp4Values);
  }
  static Scales scales(const Byte* b) noexcept {
    const __m512i code =
        _mm512_cvtepu8_epi32(_mm_setr_epi32(load_as<std::int32_t>(b), load_as<std::int32_t>(b + 36),
                                            load_as<std::int32_t>(b + 72), load_as<std::int32_t>(b + 108)));
    const __m512i magnitude = _mm512_and_si512(code, _mm512_set1_epi32(0x7f));
    const __m512i normal = _mm512_add_epi32(_mm512_slli_epi32(magnitude, 20), _mm512_set1_epi32(119 << 23));
    const __m512 small = _mm512_mul_ps(_mm512_cvtepi32_ps(magnitude), _mm512_set1_ps(0x1p-10f));
    const __m512 value = _mm512_mask_blend_ps(_mm512_cmplt_epi32_mask(magnitude, _mm512_set1_epi32(8)),
                                              _mm512_castsi512_ps(normal), small);
    const __mmask16 number = _mm512_cmpneq_epi32_mask(code, _mm512_set1_epi32(0x7f));
    return {_mm512_maskz_mov_ps(number, value), _mm512_setzero_ps()};
  }
};

}  // namespace
}  // namespace mtmd::cpu
