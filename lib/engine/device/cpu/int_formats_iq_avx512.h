// The codebook formats for AVX-512 (see int_formats_avx512.h): runs of eight are gathered, runs of four come out of
// tables in registers, signs are lane masks. For kernel files only.
#pragma once

#include "engine/device/cpu/int_formats_avx512.h"
#include "engine/device/cpu/int_formats_iq.h"

namespace mtmd::cpu {
namespace {

inline __m512i runs8(__m256i index, const std::uint64_t* runs) noexcept {
  return _mm512_i32gather_epi64(index, runs, 8);
}
inline __m256i bytes8(std::uint64_t v) noexcept {
  return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(v)));
}

/// 128 + v -> 128 - v where the mask has a bit.
inline __m512i negated(__m512i v, std::uint64_t mask) noexcept {
  return _mm512_mask_sub_epi8(v, _cvtu64_mask64(mask), _mm512_setzero_si512(), v);
}

/// Eight signs in every byte, out of seven: the eighth makes their number even.
inline std::uint64_t even_signs64(std::uint64_t seven) noexcept {
  std::uint64_t odd = seven ^ seven >> 4;
  odd ^= odd >> 2;
  odd ^= odd >> 1;
  return seven | (odd & 0x0101010101010101ull) << 7;
}
/// The signs of two groups: four times seven bits in each half.
inline std::uint64_t even_signs_of(std::uint64_t words) noexcept {
  const std::uint64_t packed = (words & 0xfffffffu) | (words >> 32 & 0xfffffffu) << 28;
  return even_signs64(_pdep_u64(packed, 0x7f7f7f7f7f7f7f7full));
}

/// d * (2 n + 1)
inline __m256 odd_scales(float d, __m256i n) noexcept {
  const __m256i odd = _mm256_add_epi32(_mm256_add_epi32(n, n), _mm256_set1_epi32(1));
  return _mm256_mul_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(odd));
}
inline __m512 odd_scales(float d, __m512i n) noexcept {
  const __m512i odd = _mm512_add_epi32(_mm512_add_epi32(n, n), _mm512_set1_epi32(1));
  return _mm512_mul_ps(_mm512_set1_ps(d), _mm512_cvtepi32_ps(odd));
}

template <>
struct Wide<IQ2_XXS> {
  static constexpr int offset = 128;
  static __m512i load(const Byte* b, int i) noexcept {
    const auto first = load_as<std::uint64_t>(b + 2 + i * 16), second = load_as<std::uint64_t>(b + 10 + i * 16);
    const __m512i v = runs8(bytes8((first & 0xffffffffu) | second << 32), quant::kIq2XxsRuns.entries);
    return negated(v, even_signs_of(first >> 32 | (second & 0xffffffff00000000ull)));
  }
  static Scales scales(const Byte* b) noexcept {
    const __m512i top = _mm512_srli_epi64(_mm512_loadu_si512(b + 2), 60);
    return wide(odd_scales(load_half(b) * 0.125f, _mm512_cvtepi64_epi32(top)));
  }
};

/// Sixteen scales of four bits.
inline Scales wide_scales_iq2(const Byte* s, float d) noexcept {
  const __m128i v = _mm_cvtsi64_si128(load_as<long long>(s));
  const __m128i nibbles = _mm_and_si128(_mm_unpacklo_epi8(v, _mm_srli_epi16(v, 4)), _mm_set1_epi8(15));
  return {odd_scales(d * 0.125f, _mm512_cvtepu8_epi32(nibbles)), _mm512_setzero_ps()};
}

template <>
struct Wide<IQ2_XS> {
  static constexpr int offset = 128;
  static __m512i load(const Byte* b, int i) noexcept {
    const __m128i words = load128(b + 2 + i * 16);
    const __m256i index = _mm256_and_si256(_mm256_cvtepu16_epi32(words), _mm256_set1_epi32(511));
    const auto seven =
        static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_packus_epi16(_mm_srli_epi16(words, 9), _mm_setzero_si128())));
    return negated(runs8(index, quant::kIq2XsRuns.entries), even_signs64(seven));
  }
  static Scales scales(const Byte* b) noexcept { return wide_scales_iq2(b + 66, load_half(b)); }
};

template <>
struct Wide<IQ2_S> {
  static constexpr int offset = 128;
  static __m512i load(const Byte* b, int i) noexcept {
    const __m256i high = _mm256_srlv_epi32(_mm256_set1_epi32(load_as<std::uint16_t>(b + 66 + i * 2) << 8),
                                           _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14));
    const __m256i index = _mm256_or_si256(bytes8(load_as<std::uint64_t>(b + 2 + i * 8)),
                                          _mm256_and_si256(high, _mm256_set1_epi32(0x300)));
    return negated(runs8(index, quant::kIq2SRuns.entries), load_as<std::uint64_t>(b + 34 + i * 8));
  }
  static Scales scales(const Byte* b) noexcept { return wide_scales_iq2(b + 74, load_half(b)); }
};

/// The bytes of a table under 64 indices. bits: 6, 7 and 8 of them; their lower six are in `index`.
template <std::size_t N>
inline __m512i entries64(const Byte (&table)[N], __m512i index, const __mmask64 (&bits)[3]) noexcept {
  const auto two = [&](int i) {
    const __m512i low = _mm512_permutexvar_epi8(index, _mm512_load_si512(table + i * 64));
    return _mm512_mask_permutexvar_epi8(low, bits[0], index, _mm512_load_si512(table + i * 64 + 64));
  };
  const auto four = [&](int i) { return _mm512_mask_mov_epi8(two(i), bits[1], two(i + 2)); };
  if constexpr (N == 256)
    return four(0);
  else
    return _mm512_mask_mov_epi8(four(0), bits[2], four(4));
}

/// Values 64 i to 64 i + 63 of 64 runs, plus 128. The same for all of them up to the last line, which the compiler does
/// once for a block where all are inlined.
template <std::size_t N>
[[gnu::always_inline]] inline __m512i runs4(const Byte* indices, std::uint64_t high,
                                            const quant::CodebookHalves<N>& book, int i) noexcept {
  const __m512i index = _mm512_loadu_si512(indices);
  const __mmask64 bits[3] = {_mm512_test_epi8_mask(index, _mm512_set1_epi8(64)), _mm512_movepi8_mask(index),
                             _cvtu64_mask64(high)};
  // Four runs of each quarter side by side: what follows stays within 128 bits.
  const __m512i turn = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i first = _mm512_permutexvar_epi32(turn, entries64(book.first, index, bits));
  const __m512i second = _mm512_permutexvar_epi32(turn, entries64(book.second, index, bits));
  const __m512i both = i < 2 ? _mm512_unpacklo_epi8(first, second) : _mm512_unpackhi_epi8(first, second);
  const __m512i twofold = i % 2 == 0 ? _mm512_unpacklo_epi8(both, both) : _mm512_unpackhi_epi8(both, both);
  const __m512i level = _mm512_mask_mov_epi8(twofold, 0xaaaaaaaaaaaaaaaa, _mm512_srli_epi16(twofold, 4));
  return lookup(_mm512_and_si512(level, _mm512_set1_epi8(15)), book.levels);
}

template <>
struct Wide<IQ3_XXS> {
  static constexpr int offset = 128;
  [[gnu::always_inline]] static __m512i load(const Byte* b, int i) noexcept {
    return negated(runs4(b + 2, 0, quant::kIq3XxsHalves, i), even_signs_of(load_as<std::uint64_t>(b + 66 + i * 8)));
  }
  static Scales scales(const Byte* b) noexcept {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + 66));
    return wide(odd_scales(load_half(b) * 0.25f, _mm256_srli_epi32(words, 28)));
  }
};

template <>
struct Wide<IQ3_S> {
  static constexpr int offset = 128;
  [[gnu::always_inline]] static __m512i load(const Byte* b, int i) noexcept {
    const __m512i v = runs4(b + 2, load_as<std::uint64_t>(b + 66), quant::kIq3SHalves, i);
    return negated(v, load_as<std::uint64_t>(b + 74 + i * 8));
  }
  static Scales scales(const Byte* b) noexcept {
    const std::uint64_t nibbles = _pdep_u64(load_as<std::uint32_t>(b + 106), 0x0f0f0f0f0f0f0f0full);
    return wide(odd_scales(load_half(b), bytes8(nibbles)));
  }
};

/// Plus one, minus one in the runs of the mask.
inline __m512i shifted(__m512i v, __mmask8 down) noexcept {
  return _mm512_add_epi8(v, _mm512_mask_blend_epi64(down, _mm512_set1_epi8(1), _mm512_set1_epi8(-1)));
}

template <>
struct Wide<IQ1_S> {
  static constexpr int offset = 128;
  static __m512i load(const Byte* b, int i) noexcept {
    const auto words = load_as<std::uint32_t>(b + 34 + i * 4);
    const __m256i three =
        _mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(words)), _mm256_setr_epi32(0, 3, 6, 9, 16, 19, 22, 25));
    const __m256i high = _mm256_slli_epi32(_mm256_and_si256(three, _mm256_set1_epi32(7)), 8);
    const __m256i index = _mm256_or_si256(bytes8(load_as<std::uint64_t>(b + 2 + i * 8)), high);
    const unsigned down = (words >> 15 & 1u) * 0x0fu | (words >> 31) * 0xf0u;
    return shifted(runs8(index, quant::kIq1Runs.entries), static_cast<__mmask8>(down));
  }
  static Scales scales(const Byte* b) noexcept {
    const __m256i words = _mm256_cvtepu16_epi32(load128(b + 34));
    const __m256i n = _mm256_and_si256(_mm256_srli_epi32(words, 12), _mm256_set1_epi32(7));
    return wide(odd_scales(load_half(b) * 0.125f, n));
  }
};

template <>
struct Wide<IQ1_M> {
  static constexpr int offset = 128;
  static __m512i load(const Byte* b, int i) noexcept {
    const __m256i nibble = _mm256_srlv_epi32(_mm256_set1_epi32(load_as<std::int32_t>(b + 32 + i * 4)),
                                             _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
    const __m256i high = _mm256_slli_epi32(_mm256_and_si256(nibble, _mm256_set1_epi32(7)), 8);
    const __m256i index = _mm256_or_si256(bytes8(load_as<std::uint64_t>(b + i * 8)), high);
    return shifted(runs8(index, quant::kIq1Runs.entries), _mm256_test_epi32_mask(nibble, _mm256_set1_epi32(8)));
  }
  static Scales scales(const Byte* b) noexcept {
    const auto words = load_as<std::uint64_t>(b + 48);
    const __m512i word = _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
        _mm512_castsi256_si512(_mm256_cvtepu16_epi32(_mm_cvtsi64_si128(static_cast<long long>(words)))));
    const __m512i n = _mm512_srlv_epi32(word, _mm512_setr_epi32(0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9));
    return {odd_scales(IQ1_M::whole_scale(words) * 0.125f, _mm512_and_si512(n, _mm512_set1_epi32(7))),
            _mm512_setzero_ps()};
  }
};

}  // namespace
}  // namespace mtmd::cpu
