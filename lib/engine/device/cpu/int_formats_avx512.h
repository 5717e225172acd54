// The quantised formats for AVX-512: 64 values at a time as unsigned bytes (q + offset), and the scales of 256 values.
// 32-value blocks are taken eight at a time, so that every format is a sequence of 256-value steps. For kernel files
// only.
#pragma once

#include <immintrin.h>

#include "engine/device/cpu/int_formats.h"

namespace mtmd::cpu {
namespace {

/// Two halves of a register, each the same 32 bytes.
inline __m512i twice(const Byte* p) noexcept {
  return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline __m128i load128(const Byte* p) noexcept { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline __m512i halves(int low, int high) noexcept {
  return _mm512_inserti64x4(_mm512_set1_epi16(static_cast<short>(low)), _mm256_set1_epi16(static_cast<short>(high)), 1);
}
inline __m512i bytes_of(int low, int high) noexcept { return halves(low | low << 8, high | high << 8); }

/// Takes bits [from, from + n) of a byte to [to, to + n) and leaves nothing else: an 8x8 matrix over GF(2), as
/// VGF2P8AFFINEQB has it for the eight bytes of a lane. Its highest byte says of which bits bit 0 is the sum.
struct Move {
  long long matrix = 0;
  constexpr Move(int from, int to, int n) noexcept {
    for (int i = 0; i < n; ++i) matrix |= static_cast<long long>(std::uint64_t{1} << (8 * (7 - to - i) + from + i));
  }
};
constexpr Move kLowNibble{0, 0, 4}, kHighNibble{4, 0, 4};

inline __m512i moved(__m512i v, Move move) noexcept {
  return _mm512_gf2p8affine_epi64_epi8(v, _mm512_set1_epi64(move.matrix), 0);
}
/// Both halves of a register on their own.
inline __m512i moved(__m512i v, Move first, Move second) noexcept {
  const __m512i matrices = _mm512_inserti64x4(_mm512_set1_epi64(first.matrix), _mm256_set1_epi64x(second.matrix), 1);
  return _mm512_gf2p8affine_epi64_epi8(v, matrices, 0);
}
/// The low nibbles of lanes 0 and 2 of 128 bits, the high ones of 1 and 3.
inline __m512i nibbles_in_turn(__m512i v) noexcept {
  const long long low = kLowNibble.matrix, high = kHighNibble.matrix;
  return _mm512_gf2p8affine_epi64_epi8(v, _mm512_setr_epi64(low, low, high, high, low, low, high, high), 0);
}
inline __m512i low_nibbles(__m512i v) noexcept { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
inline __m512i high_nibbles(__m512i v) noexcept { return moved(v, kHighNibble); }

/// Two runs of 16 bytes -> 64 nibbles: low ones of the first run, its high ones, low and high ones of the second.
inline __m512i nibbles64(const Byte* first, const Byte* second) noexcept {
  const __m512i v = _mm512_mask_broadcast_i64x2(_mm512_broadcast_i32x4(load128(first)), 0xf0, load128(second));
  return nibbles_in_turn(v);
}

/// 32 bytes -> their low nibbles, then their high nibbles.
inline __m512i nibbles32(const Byte* p) noexcept { return moved(twice(p), kLowNibble, kHighNibble); }

/// Where the 16-bit words are that lie kFirst bytes into each of eight blocks of kStride: all within the same 64 bytes
/// at once.
template <int kStride, int kFirst>
struct Strided {
  static constexpr int kParts = (7 * kStride + kFirst) / 64 + 1;
  int begin[kParts];  ///< of 64 bytes, none of them behind the last block
  std::uint8_t lanes[kParts];
  alignas(16) std::uint16_t word[kParts][8];

  constexpr Strided() noexcept : begin{}, lanes{}, word{} {
    for (int i = 0; i < kParts; ++i) begin[i] = i * 64 < 8 * kStride - 64 ? i * 64 : 8 * kStride - 64;
    for (int j = 0; j < 8; ++j) {
      const int at = j * kStride + kFirst, i = at / 64;
      lanes[i] = static_cast<std::uint8_t>(lanes[i] | 1 << j);
      word[i][j] = static_cast<std::uint16_t>((at - begin[i]) / 2);
    }
  }
};

/// Half-precision numbers, kFirst bytes into each of eight blocks of kStride (both even).
template <int kStride, int kFirst = 0>
inline __m256 halves8(const Byte* blocks) noexcept {
  static constexpr Strided<kStride, kFirst> kWhere;
  __m512i v = _mm512_setzero_si512();
#pragma GCC unroll 5
  for (int i = 0; i < kWhere.kParts; ++i) {
    const __m512i word = _mm512_castsi128_si512(load128(reinterpret_cast<const Byte*>(kWhere.word[i])));
    v = _mm512_mask_permutexvar_epi16(v, kWhere.lanes[i], word, _mm512_loadu_si512(blocks + kWhere.begin[i]));
  }
  return _mm256_cvtph_ps(_mm512_castsi512_si128(v));
}

inline __m512i lookup(__m512i index, const Int8* table) noexcept {
  const __m128i t = _mm_load_si128(reinterpret_cast<const __m128i*>(table));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_xor_si128(t, _mm_set1_epi8(-128))), index);
}

/// Fifth bits of two blocks' 64 values.
inline __m512i with_fifth(__m512i q, std::uint32_t first, std::uint32_t second) noexcept {
  const __mmask64 mask = _cvtu64_mask64(first | static_cast<std::uint64_t>(second) << 32);
  return _mm512_mask_add_epi8(q, mask, q, _mm512_set1_epi8(16));
}

/// Scales of a step; groups of 32 use the first eight lanes.
struct Scales {
  __m512 scale, min;
};

inline Scales wide(__m256 scale, __m256 min = _mm256_setzero_ps()) noexcept {
  return {_mm512_zextps256_ps512(scale), _mm512_zextps256_ps512(min)};
}

template <class F>
struct Wide;

template <>
struct Wide<Q8_0> {
  static constexpr int offset = 128;
  static __m512i load(const Byte* b, int i) noexcept {
    const auto* p = b + i * 68 + 2;
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 34));
    return _mm512_xor_si512(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1), _mm512_set1_epi8(-128));
  }
  static Scales scales(const Byte* b) noexcept { return wide(halves8<34>(b)); }
};

template <>
struct Wide<Q4_0> {
  static constexpr int offset = 8;
  static __m512i load(const Byte* b, int i) noexcept { return nibbles64(b + i * 36 + 2, b + i * 36 + 20); }
  static Scales scales(const Byte* b) noexcept { return wide(halves8<18>(b)); }
};

template <>
struct Wide<Q4_1> {
  static constexpr int offset = 0;
  static __m512i load(const Byte* b, int i) noexcept { return nibbles64(b + i * 40 + 4, b + i * 40 + 24); }
  static Scales scales(const Byte* b) noexcept { return wide(halves8<20>(b), halves8<20, 2>(b)); }
};

template <>
struct Wide<Q5_0> {
  static constexpr int offset = 16;
  static __m512i load(const Byte* b, int i) noexcept {
    const Byte* p = b + i * 44;
    return with_fifth(nibbles64(p + 6, p + 28), load_as<std::uint32_t>(p + 2), load_as<std::uint32_t>(p + 24));
  }
  static Scales scales(const Byte* b) noexcept { return wide(halves8<22>(b)); }
};

template <>
struct Wide<Q5_1> {
  static constexpr int offset = 0;
  static __m512i load(const Byte* b, int i) noexcept {
    const Byte* p = b + i * 48;
    return with_fifth(nibbles64(p + 8, p + 32), load_as<std::uint32_t>(p + 4), load_as<std::uint32_t>(p + 28));
  }
  static Scales scales(const Byte* b) noexcept { return wide(halves8<24>(b), halves8<24, 2>(b)); }
};

/// Planes 2 (i % 2) and the next of two-bit values in half i / 2 of Q2_K and Q3_K.
inline __m512i two_bits(const Byte* p, int i) noexcept {
  return moved(twice(p + i / 2 * 32), {4 * (i % 2), 0, 2}, {4 * (i % 2) + 2, 0, 2});
}

template <>
struct Wide<Q2_K> {
  static constexpr int offset = 0;
  static __m512i load(const Byte* b, int i) noexcept { return two_bits(b + 16, i); }
  static Scales scales(const Byte* b) noexcept {
    const __m128i v = load128(b), mask = _mm_set1_epi8(15);
    const __m512 d = _mm512_set1_ps(load_half(b + 80)), dmin = _mm512_set1_ps(-load_half(b + 82));
    const __m512i sc = _mm512_cvtepu8_epi32(_mm_and_si128(v, mask));
    const __m512i m = _mm512_cvtepu8_epi32(_mm_and_si128(_mm_srli_epi16(v, 4), mask));
    return {_mm512_mul_ps(d, _mm512_cvtepi32_ps(sc)), _mm512_mul_ps(dmin, _mm512_cvtepi32_ps(m))};
  }
};

template <>
struct Wide<Q3_K> {
  static constexpr int offset = 4;
  static __m512i load(const Byte* b, int i) noexcept {
    const __m512i q = two_bits(b + 32, i);
    const __mmask64 high = _mm512_test_epi8_mask(twice(b), bytes_of(1 << (2 * i), 2 << (2 * i)));
    return _mm512_mask_add_epi8(q, high, q, _mm512_set1_epi8(4));
  }
  static Scales scales(const Byte* b) noexcept {
    const auto s0 = load_as<std::uint32_t>(b + 96), s1 = load_as<std::uint32_t>(b + 100),
               high = load_as<std::uint32_t>(b + 104);
    const __m128i low = _mm_and_si128(_mm_setr_epi32(static_cast<int>(s0), static_cast<int>(s1),
                                                     static_cast<int>(s0 >> 4), static_cast<int>(s1 >> 4)),
                                      _mm_set1_epi8(15));
    const __m128i two = _mm_and_si128(
        _mm_srlv_epi32(_mm_set1_epi32(static_cast<int>(high)), _mm_setr_epi32(0, 2, 4, 6)), _mm_set1_epi8(3));
    const __m512i sc = _mm512_cvtepu8_epi32(_mm_or_si128(low, _mm_slli_epi16(two, 4)));
    const __m512 f = _mm512_cvtepi32_ps(_mm512_sub_epi32(sc, _mm512_set1_epi32(32)));
    return {_mm512_mul_ps(_mm512_set1_ps(load_half(b + 108)), f), _mm512_setzero_ps()};
  }
};

/// Of Q4_K and Q5_K: eight scales and eight minima in 12 bytes.
[[gnu::always_inline]] inline Scales wide_scales_k4(const Byte* b) noexcept {
  const auto lo = load_as<std::uint32_t>(b + 4), mid = load_as<std::uint32_t>(b + 8),
             hi = load_as<std::uint32_t>(b + 12);
  const std::uint32_t sc1 = (hi & 0x0f0f0f0fu) | ((lo >> 2) & 0x30303030u),
                      m1 = ((hi >> 4) & 0x0f0f0f0fu) | ((mid >> 2) & 0x30303030u);
  const auto floats = [](float d, std::uint32_t first, std::uint32_t second) {
    const std::uint64_t eight = (first & 0x3f3f3f3fu) | static_cast<std::uint64_t>(second) << 32;
    const __m256i n = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(eight)));
    return _mm256_mul_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(n));
  };
  return wide(floats(load_half(b), lo, sc1), floats(-load_half(b + 2), mid, m1));
}

template <>
struct Wide<Q4_K> {
  static constexpr int offset = 0;
  static __m512i load(const Byte* b, int i) noexcept { return nibbles32(b + 16 + i * 32); }
  static Scales scales(const Byte* b) noexcept { return wide_scales_k4(b); }
};

template <>
struct Wide<Q5_K> {
  static constexpr int offset = 0;
  static __m512i load(const Byte* b, int i) noexcept {
    const __m512i q = nibbles32(b + 48 + i * 32);
    const __mmask64 high = _mm512_test_epi8_mask(twice(b + 16), bytes_of(1 << (2 * i), 2 << (2 * i)));
    return _mm512_mask_add_epi8(q, high, q, _mm512_set1_epi8(16));
  }
  static Scales scales(const Byte* b) noexcept { return wide_scales_k4(b); }
};

template <>
struct Wide<Q6_K> {
  static constexpr int offset = 32;
  static __m512i load(const Byte* b, int i) noexcept {
    const __m512i low = _mm512_loadu_si512(b + i / 2 * 64), high = twice(b + 128 + i / 2 * 32);
    if (i % 2 == 0) return _mm512_or_si512(low_nibbles(low), moved(high, {0, 4, 2}, {2, 4, 2}));
    return _mm512_or_si512(low_nibbles(_mm512_srli_epi16(low, 4)), moved(high, {4, 4, 2}, {6, 4, 2}));
  }
  static Scales scales(const Byte* b) noexcept {
    const __m512 sc = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load128(b + 192)));
    return {_mm512_mul_ps(_mm512_set1_ps(load_half(b + 208)), sc), _mm512_setzero_ps()};
  }
};

template <>
struct Wide<IQ4_NL> {
  static constexpr int offset = 128;
  static __m512i load(const Byte* b, int i) noexcept { return lookup(Wide<Q4_0>::load(b, i), kIq4Values); }
  static Scales scales(const Byte* b) noexcept { return wide(halves8<18>(b)); }
};

template <>
struct Wide<IQ4_XS> {
  static constexpr int offset = 128;
  static __m512i load(const Byte* b, int i) noexcept {
    return lookup(nibbles64(b + 8 + i * 32, b + 24 + i * 32), kIq4Values);
  }
  static Scales scales(const Byte* b) noexcept {
    const std::uint64_t low = _pdep_u64(load_as<std::uint32_t>(b + 4), 0x0f0f0f0f0f0f0f0full);
    const std::uint64_t high = _pdep_u64(load_as<std::uint16_t>(b + 2), 0x3030303030303030ull);
    const __m256i sc = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(low | high)));
    return wide(
        _mm256_mul_ps(_mm256_set1_ps(load_half(b)), _mm256_cvtepi32_ps(_mm256_sub_epi32(sc, _mm256_set1_epi32(32)))));
  }
};

template <>
struct Wide<MXFP4> {
  static constexpr int offset = 128;
  static __m512i load(const Byte* b, int i) noexcept {
    return lookup(nibbles64(b + i * 34 + 1, b + i * 34 + 18), kMxfp4Values);
  }
  static Scales scales(const Byte* b) noexcept {
    const __m256i e = _mm256_setr_epi32(b[0], b[17], b[34], b[51], b[68], b[85], b[102], b[119]);
    const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
    const __m256i denormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
    return wide(_mm256_castsi256_ps(_mm256_blendv_epi8(normal, denormal, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e))));
  }
};

constexpr int kStepValues = 256;
template <class F>
constexpr int kStepBytes = kStepValues / F::values* F::bytes;

/// The last blocks of a row, fewer than a step, completed with zeros (and so with zero scales).
template <class F>
inline void copy_tail(const Byte* b, std::int64_t values, Byte* step) noexcept {
  const auto bytes = static_cast<std::size_t>(values / F::values * F::bytes);
  std::memcpy(step, b, bytes);
  std::memset(step + bytes, 0, static_cast<std::size_t>(kStepBytes<F>) - bytes);
}

/// The last blocks of n rows, `values` of each, as whole steps: read on into the next rows where there are any before
/// `end`, else completed in `tails`.
template <class F, int n>
inline void whole_tails(const Byte* (&b)[n], const Byte* end, std::int64_t values,
                        Byte (&tails)[n][kStepBytes<F>]) noexcept {
#pragma GCC unroll 4
  for (int i = 0; i < n; ++i) {
    if (end - b[i] >= kStepBytes<F>) [[likely]]
      continue;
    copy_tail<F>(b[i], values, tails[i]);
    b[i] = tails[i];
  }
}

}  // namespace
}  // namespace mtmd::cpu
