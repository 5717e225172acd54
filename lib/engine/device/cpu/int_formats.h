// The quantised formats as integers: value = scale * q + min, one scale (and min) per group of 16 or 32 values.
// Layouts: docs/quant.md. Plain loops that the compiler vectorises; for kernel files only (everything is file-local).
#pragma once

#include "engine/device/cpu/half_bits.h"
#include "engine/tensor/dtype.h"

namespace mtmd::cpu {
namespace {

using Byte = std::uint8_t;
using Int8 = std::int8_t;

/// q[j] = low nibble of b[j], q[16 + j] = high nibble, both plus `offset`.
inline void nibbles16(const Byte* b, Int8* q, int offset) noexcept {
  for (int j = 0; j < 16; ++j) {
    q[j] = static_cast<Int8>((b[j] & 15) + offset);
    q[j + 16] = static_cast<Int8>((b[j] >> 4) + offset);
  }
}

inline void nibbles16_fifth(const Byte* b, std::uint32_t high, Int8* q, int offset) noexcept {
  for (int j = 0; j < 16; ++j) {
    q[j] = static_cast<Int8>(((b[j] & 15) | ((high >> j << 4) & 16)) + offset);
    q[j + 16] = static_cast<Int8>(((b[j] >> 4) | ((high >> (j + 16) << 4) & 16)) + offset);
  }
}

/// The 16 values of the non-linear 4-bit types.
alignas(16) constexpr Int8 kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
/// e2m1 times two.
alignas(16) constexpr Int8 kMxfp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

inline void lookup16(const Byte* b, const Int8* table, Int8* q) noexcept {
#if defined(__SSSE3__)
  const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b)), mask = _mm_set1_epi8(15);
  const __m128i t = _mm_load_si128(reinterpret_cast<const __m128i*>(table));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm_shuffle_epi8(t, _mm_and_si128(v, mask)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 16), _mm_shuffle_epi8(t, _mm_and_si128(_mm_srli_epi16(v, 4), mask)));
#else
  for (int j = 0; j < 16; ++j) q[j] = table[b[j] & 15], q[j + 16] = table[b[j] >> 4];
#endif
}

/// The eight 6-bit scales and mins of Q4_K and Q5_K, in 12 bytes.
inline void scales_k4(const Byte* s, float d, float dmin, float* scale, float* min) noexcept {
  const auto lo = load_as<std::uint32_t>(s), mid = load_as<std::uint32_t>(s + 4), hi = load_as<std::uint32_t>(s + 8);
  const std::uint32_t words[4] = {lo & 0x3f3f3f3fu, (hi & 0x0f0f0f0fu) | ((lo >> 2) & 0x30303030u), mid & 0x3f3f3f3fu,
                                  ((hi >> 4) & 0x0f0f0f0fu) | ((mid >> 2) & 0x30303030u)};
  Byte sc[16];
  std::memcpy(sc, words, sizeof sc);
  for (int j = 0; j < 8; ++j) scale[j] = d * sc[j], min[j] = -dmin * sc[8 + j];
}

struct Q8_0 {
  static constexpr DType type = DType::Q8_0;
  static constexpr int values = 32, bytes = 34, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    scale[0] = load_half(b);
    std::memcpy(q, b + 2, 32);
  }
};

struct Q4_0 {
  static constexpr DType type = DType::Q4_0;
  static constexpr int values = 32, bytes = 18, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    scale[0] = load_half(b);
    nibbles16(b + 2, q, -8);
  }
};

struct Q4_1 {
  static constexpr DType type = DType::Q4_1;
  static constexpr int values = 32, bytes = 20, group = 32;
  static constexpr bool has_min = true;
  static void unpack(const Byte* b, Int8* q, float* scale, float* min) noexcept {
    scale[0] = load_half(b);
    min[0] = load_half(b + 2);
    nibbles16(b + 4, q, 0);
  }
};

struct Q5_0 {
  static constexpr DType type = DType::Q5_0;
  static constexpr int values = 32, bytes = 22, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    scale[0] = load_half(b);
    nibbles16_fifth(b + 6, load_as<std::uint32_t>(b + 2), q, -16);
  }
};

struct Q5_1 {
  static constexpr DType type = DType::Q5_1;
  static constexpr int values = 32, bytes = 24, group = 32;
  static constexpr bool has_min = true;
  static void unpack(const Byte* b, Int8* q, float* scale, float* min) noexcept {
    scale[0] = load_half(b);
    min[0] = load_half(b + 2);
    nibbles16_fifth(b + 8, load_as<std::uint32_t>(b + 4), q, 0);
  }
};

struct Q2_K {
  static constexpr DType type = DType::Q2_K;
  static constexpr int values = 256, bytes = 84, group = 16;
  static constexpr bool has_min = true;
  static void unpack(const Byte* b, Int8* q, float* scale, float* min) noexcept {
    const float d = load_half(b + 80), dmin = load_half(b + 82);
    for (int j = 0; j < 16; ++j) {
      scale[j] = d * static_cast<float>(b[j] & 15);
      min[j] = -dmin * static_cast<float>(b[j] >> 4);
    }
    for (int h = 0; h < 2; ++h)
      for (int plane = 0; plane < 4; ++plane)
        for (int j = 0; j < 32; ++j)
          q[h * 128 + plane * 32 + j] = static_cast<Int8>((b[16 + h * 32 + j] >> (2 * plane)) & 3);
  }
};

struct Q3_K {
  static constexpr DType type = DType::Q3_K;
  static constexpr int values = 256, bytes = 110, group = 16;
  static constexpr bool has_min = false;
  static void scales(const Byte* s, float d, float* scale) noexcept {
    for (int j = 0; j < 16; ++j) {
      const int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4, high = (s[8 + j % 4] >> (2 * (j / 4))) & 3;
      scale[j] = d * static_cast<float>((low | high << 4) - 32);
    }
  }
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    scales(b + 96, load_half(b + 108), scale);
    for (int h = 0; h < 2; ++h)
      for (int plane = 0; plane < 4; ++plane)
        for (int j = 0; j < 32; ++j) {
          const int low = (b[32 + h * 32 + j] >> (2 * plane)) & 3, high = (b[j] >> (h * 4 + plane)) & 1;
          q[h * 128 + plane * 32 + j] = static_cast<Int8>((low | high << 2) - 4);
        }
  }
};

struct Q4_K {
  static constexpr DType type = DType::Q4_K;
  static constexpr int values = 256, bytes = 144, group = 32;
  static constexpr bool has_min = true;
  static void unpack(const Byte* b, Int8* q, float* scale, float* min) noexcept {
    scales_k4(b + 4, load_half(b), load_half(b + 2), scale, min);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 32; ++j) {
        q[i * 64 + j] = static_cast<Int8>(b[16 + i * 32 + j] & 15);
        q[i * 64 + 32 + j] = static_cast<Int8>(b[16 + i * 32 + j] >> 4);
      }
  }
};

struct Q5_K {
  static constexpr DType type = DType::Q5_K;
  static constexpr int values = 256, bytes = 176, group = 32;
  static constexpr bool has_min = true;
  static void unpack(const Byte* b, Int8* q, float* scale, float* min) noexcept {
    scales_k4(b + 4, load_half(b), load_half(b + 2), scale, min);
    const Byte *high = b + 16, *low = b + 48;
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 32; ++j) {
        q[i * 64 + j] = static_cast<Int8>((low[i * 32 + j] & 15) | ((high[j] >> (2 * i)) & 1) << 4);
        q[i * 64 + 32 + j] = static_cast<Int8>((low[i * 32 + j] >> 4) | ((high[j] >> (2 * i + 1)) & 1) << 4);
      }
  }
};

struct Q6_K {
  static constexpr DType type = DType::Q6_K;
  static constexpr int values = 256, bytes = 210, group = 16;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    const float d = load_half(b + 208);
    for (int j = 0; j < 16; ++j) scale[j] = d * static_cast<float>(static_cast<Int8>(b[192 + j]));
    for (int h = 0; h < 2; ++h) {
      const Byte *low = b + h * 64, *high = b + 128 + h * 32;
      Int8* out = q + h * 128;
      for (int j = 0; j < 32; ++j) {
        out[j] = static_cast<Int8>(((low[j] & 15) | (high[j] & 3) << 4) - 32);
        out[j + 32] = static_cast<Int8>(((low[j + 32] & 15) | ((high[j] >> 2) & 3) << 4) - 32);
        out[j + 64] = static_cast<Int8>(((low[j] >> 4) | ((high[j] >> 4) & 3) << 4) - 32);
        out[j + 96] = static_cast<Int8>(((low[j + 32] >> 4) | (high[j] >> 6) << 4) - 32);
      }
    }
  }
};

struct IQ4_NL {
  static constexpr DType type = DType::IQ4_NL;
  static constexpr int values = 32, bytes = 18, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    scale[0] = load_half(b);
    lookup16(b + 2, kIq4Values, q);
  }
};

struct IQ4_XS {
  static constexpr DType type = DType::IQ4_XS;
  static constexpr int values = 256, bytes = 136, group = 32;
  static constexpr bool has_min = false;
  static void scales(const Byte* b, float* scale) noexcept {
    const float d = load_half(b);
    const unsigned high = load_as<std::uint16_t>(b + 2);
    for (int g = 0; g < 8; ++g) {
      const unsigned low = (b[4 + g / 2] >> (4 * (g % 2))) & 15u;
      scale[g] = d * static_cast<float>(static_cast<int>(low | ((high >> (2 * g)) & 3u) << 4) - 32);
    }
  }
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    scales(b, scale);
    for (int g = 0; g < 8; ++g) lookup16(b + 8 + g * 16, kIq4Values, q + g * 32);
  }
};

struct MXFP4 {
  static constexpr DType type = DType::MXFP4;
  static constexpr int values = 32, bytes = 17, group = 32;
  static constexpr bool has_min = false;
  /// 2^(e - 128): half of the block's scale, since the table holds doubled values. Exponents 0 and 1 are denormal.
  static float half_scale(unsigned e) noexcept {
    return __builtin_bit_cast(float, e >= 2 ? (e - 1) << 23 : 0x00200000u << e);
  }
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    scale[0] = half_scale(b[0]);
    lookup16(b + 1, kMxfp4Values, q);
  }
};

}  // namespace
}  // namespace mtmd::cpu
