// Packed rows to bf16 in the order of their values, which is the left side of a product of tiles: nothing has to be
// transposed. For kernel files only.
#pragma once

#include "engine/device/cpu/bf16_block.h"
#include "engine/device/cpu/int_format_list.h"

namespace mtmd::cpu::ISA {
namespace {

/// Formats whose values are one of 16 levels, groups of 32 values: take() gives the numbers of the levels of two groups
/// as words, of which the low five bits count: 16 + the number for the first group, the number for the second.
template <class F>
struct Codes {
  static constexpr bool exist = false;
};

struct Nibbles {
  static constexpr bool exist = true;
  static __m512 counted(float first) noexcept {
    const __m512 lanes = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_add_ps(lanes, _mm512_set1_ps(first));
  }
  static __m512 listed(const Int8* table) noexcept {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(table))));
  }
  /// 16 bytes: their low nibbles, then their high ones; the bits above are anything.
  static __m512i words(const Byte* p) noexcept {
    return _mm512_srlv_epi16(_mm512_cvtepu8_epi16(_mm256_broadcastsi128_si256(load128(p))), halves(0, 4));
  }
};

template <>
struct Codes<Q4_K> : Nibbles {
  static __m512 levels() noexcept { return counted(0); }
  static void take(const Byte* b, int i, __m512i (&codes)[2]) noexcept {
    const __m512i v = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + 16 + i * 32)));
    codes[0] = _mm512_or_si512(v, _mm512_set1_epi16(16));
    codes[1] = _mm512_srli_epi16(v, 4);
  }
};

/// Blocks of 32 values: kBytes, the nibbles from kFrom on.
template <int kBytes, int kFrom>
struct BlockNibbles : Nibbles {
  static void take(const Byte* b, int i, __m512i (&codes)[2]) noexcept {
    codes[0] = _mm512_or_si512(words(b + 2 * i * kBytes + kFrom), _mm512_set1_epi16(16));
    codes[1] = _mm512_and_si512(words(b + (2 * i + 1) * kBytes + kFrom), _mm512_set1_epi16(15));
  }
};
template <>
struct Codes<Q4_0> : BlockNibbles<18, 2> {
  static __m512 levels() noexcept { return counted(-8); }
};
template <>
struct Codes<Q4_1> : BlockNibbles<20, 4> {
  static __m512 levels() noexcept { return counted(0); }
};
template <>
struct Codes<IQ4_NL> : BlockNibbles<18, 2> {
  static __m512 levels() noexcept { return listed(kIq4Values); }
};
template <>
struct Codes<IQ4_XS> : BlockNibbles<16, 8> {
  static __m512 levels() noexcept { return listed(kIq4Values); }
};
template <>
struct Codes<MXFP4> : BlockNibbles<17, 1> {
  static __m512 levels() noexcept { return listed(kMxfp4Values); }
};

/// 16 bytes of a register, each in a dword whose other bytes say 2^23: that float is 2^23 plus the byte.
inline __m512i at_2_23(__m512i bytes, int quarter) noexcept {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_mask_permutexvar_epi8(_mm512_set1_epi32(0x4b000000), 0x1111111111111111,
                                      _mm512_add_epi32(lanes, _mm512_set1_epi32(16 * quarter)), bytes);
}

/// 256 values of a row: 32 of them every `step` values.
template <class F>
inline void row_to_bf16(const Byte* b, std::uint16_t* to, std::int64_t step) noexcept {
  using W = Wide<F>;
  const Scales scales = W::scales(b);
  alignas(64) float scale[16], min[16];  // a lane is broadcast from memory for nothing
  _mm512_store_ps(scale, scales.scale);
  if constexpr (F::has_min) _mm512_store_ps(min, scales.min);
  asm volatile("" : "+m"(scale), "+m"(min));  // or the compiler would shuffle them out of the registers
  const auto scaled = [&](__m512 v, int group) {
    const __m512 s = _mm512_set1_ps(scale[group]);
    if constexpr (F::has_min) return _mm512_fmadd_ps(v, s, _mm512_set1_ps(min[group]));
    return _mm512_mul_ps(v, s);
  };
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    if constexpr (Codes<F>::exist) {
      __m512i codes[2];
      Codes<F>::take(b, i, codes);
      const __m512i table = to_bf16(scaled(Codes<F>::levels(), 2 * i + 1), scaled(Codes<F>::levels(), 2 * i));
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h)
        _mm512_storeu_si512(to + (2 * i + h) * step, _mm512_permutexvar_epi16(codes[h], table));
    } else {
      const __m512i bytes = W::load(b, i);
      const __m512 zero = _mm512_set1_ps(0x1p23f + W::offset);
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        __m512 half[2];
#pragma GCC unroll 2
        for (int q = 0; q < 2; ++q)
          half[q] = scaled(_mm512_sub_ps(_mm512_castsi512_ps(at_2_23(bytes, 2 * h + q)), zero),
                           F::group == 32 ? 2 * i + h : 4 * i + 2 * h + q);
        _mm512_storeu_si512(to + (2 * i + h) * step, to_bf16(half[0], half[1]));
      }
    }
  }
}

}  // namespace
}  // namespace mtmd::cpu::ISA
