// Formats of one scale and very few levels, and NVFP4, as integers (see int_formats.h). For kernel files only.
#pragma once

#include "engine/device/cpu/int_formats.h"

namespace mtmd::cpu {
namespace {

template <int kGroups>
inline void same_scales(float d, float* scale) noexcept {
  for (int g = 0; g < kGroups; ++g) scale[g] = d;
}

struct TQ1_0 {
  static constexpr DType type = DType::TQ1_0;
  static constexpr int values = 256, bytes = 54, group = 32;
  static constexpr bool has_min = false;
  /// Bytes are fractions in base 3; multiplying by 3^n modulo 256 brings digit n to the top.
  static Int8* digits(const Byte* b, int count, int planes, Int8* q) noexcept {
    unsigned power = 1;
    for (int n = 0; n < planes; ++n, power *= 3)
      for (int j = 0; j < count; ++j) *q++ = static_cast<Int8>(static_cast<int>((b[j] * power & 255u) * 3 >> 8) - 1);
    return q;
  }
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    same_scales<8>(load_half(b + 52), scale);
    q = digits(b, 32, 5, q);
    q = digits(b + 32, 16, 5, q);
    digits(b + 48, 4, 4, q);
  }
};

struct TQ2_0 {
  static constexpr DType type = DType::TQ2_0;
  static constexpr int values = 256, bytes = 66, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    same_scales<8>(load_half(b + 64), scale);
    for (int plane = 0; plane < 8; ++plane)
      for (int j = 0; j < 32; ++j)
        q[plane * 32 + j] = static_cast<Int8>((b[plane / 4 * 32 + j] >> 2 * (plane % 4) & 3) - 1);
  }
};

struct Q1_0 {
  static constexpr DType type = DType::Q1_0;
  static constexpr int values = 128, bytes = 18, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    same_scales<4>(load_half(b), scale);
    for (int i = 0; i < 128; ++i) q[i] = static_cast<Int8>((b[2 + i / 8] >> i % 8 & 1) * 2 - 1);
  }
};

struct Q2_0 {
  static constexpr DType type = DType::Q2_0;
  static constexpr int values = 64, bytes = 18, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    same_scales<2>(load_half(b), scale);
    for (int i = 0; i < 64; ++i) q[i] = static_cast<Int8>((b[2 + i / 4] >> 2 * (i % 4) & 3) - 1);
  }
};

struct NVFP4 {
  static constexpr DType type = DType::NVFP4;
  static constexpr int values = 64, bytes = 36, group = 16;
  static constexpr bool has_min = false;
  /// Half of an unsigned e4m3 number, since the table holds doubled values; the code 0x7f is none and counts as zero.
  static float half_scale(unsigned code) noexcept {
    const unsigned magnitude = code & 0x7fu;
    const float normal = __builtin_bit_cast(float, (magnitude << 20) + (119u << 23));
    const float value = magnitude < 8 ? static_cast<float>(static_cast<int>(magnitude)) * 0x1p-10f : normal;
    return code == 0x7f ? 0.0f : value;
  }
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    for (int g = 0; g < 4; ++g) scale[g] = half_scale(b[g]);
    for (int g = 0; g < 4; ++g)
      for (int j = 0; j < 8; ++j) {
        const Byte v = b[4 + 8 * g + j];
        q[16 * g + j] = kMxfp4Values[v & 15];
        q[16 * g + 8 + j] = kMxfp4Values[v >> 4];
      }
  }
};

}  // namespace
}  // namespace mtmd::cpu
