// Private to this folder: how the fields of Q2_K … Q6_K lie in a super-block (docs/quant.md), from scales and levels.
#pragma once

#include "engine/quant/formats.h"

namespace mtmd::quant::ISA {
namespace {

constexpr int kSuper = 256;

/// Planes of `kBits` bits: 128 values in 32 bytes a plane group, value 32 p + j in bits kBits * p of byte j.
inline void write_two_bit_planes(const std::uint8_t* q, std::byte* out) {
  for (int half = 0; half < 2; ++half)
    for (int j = 0; j < 32; ++j) {
      const std::uint8_t* v = q + 128 * half + j;
      out[32 * half + j] = static_cast<std::byte>((v[0] & 3) | (v[32] & 3) << 2 | (v[64] & 3) << 4 | (v[96] & 3) << 6);
    }
}

/// Bit `bit` of value 32 g + j becomes bit g of byte j.
inline void write_bit_plane(const std::uint8_t* q, int bit, std::byte* out) {
  for (int j = 0; j < 32; ++j) {
    int bits = 0;
    for (int g = 0; g < 8; ++g) bits |= (q[32 * g + j] >> bit & 1) << g;
    out[j] = static_cast<std::byte>(bits);
  }
}

/// 2 * half values in `half` bytes, as often as they come: low nibbles first, then high ones.
inline void write_nibbles(const std::uint8_t* q, int half, std::byte* out) {
  for (int part = 0; part < kSuper / 2; part += half)
    for (int j = 0; j < half; ++j)
      out[part + j] = static_cast<std::byte>((q[2 * part + j] & 15) | (q[2 * part + half + j] & 15) << 4);
}

struct Q2Layout {
  static constexpr int kBytes = 84, kGroups = 16, kTop = 3, kScaleTop = 15;
  static void write(float d, float dmin, const std::int8_t* s, const std::int8_t* m, const std::uint8_t* q,
                    std::byte* out) {
    for (int g = 0; g < kGroups; ++g) out[g] = static_cast<std::byte>(s[g] | m[g] << 4);
    write_two_bit_planes(q, out + 16);
    store(out + 80, narrowed(d));
    store(out + 82, narrowed(dmin));
  }
};

/// Twelve bytes for eight scales and eight minima of 6 bits.
inline void write_six_bit_pairs(const std::int8_t* s, const std::int8_t* m, std::byte* out) {
  for (int g = 0; g < 4; ++g) {
    out[g] = static_cast<std::byte>(s[g] | s[g + 4] >> 4 << 6);
    out[g + 4] = static_cast<std::byte>(m[g] | m[g + 4] >> 4 << 6);
    out[g + 8] = static_cast<std::byte>((s[g + 4] & 15) | (m[g + 4] & 15) << 4);
  }
}

struct Q4Layout {
  static constexpr int kBytes = 144, kGroups = 8, kTop = 15, kScaleTop = 63;
  static void write(float d, float dmin, const std::int8_t* s, const std::int8_t* m, const std::uint8_t* q,
                    std::byte* out) {
    store(out, narrowed(d));
    store(out + 2, narrowed(dmin));
    write_six_bit_pairs(s, m, out + 4);
    write_nibbles(q, 32, out + 16);
  }
};

struct Q5Layout {
  static constexpr int kBytes = 176, kGroups = 8, kTop = 31, kScaleTop = 63;
  static void write(float d, float dmin, const std::int8_t* s, const std::int8_t* m, const std::uint8_t* q,
                    std::byte* out) {
    store(out, narrowed(d));
    store(out + 2, narrowed(dmin));
    write_six_bit_pairs(s, m, out + 4);
    write_bit_plane(q, 4, out + 16);
    write_nibbles(q, 32, out + 48);
  }
};

/// Levels are -4 … 3 (given raised to start at 0), scales -32 … 31.
struct Q3Layout {
  static constexpr int kBytes = 110, kHalf = 4, kScaleHalf = 32;
  static void write(float d, const std::int8_t* level, const std::uint8_t* q, std::byte* out) {
    int s[16];
    for (int g = 0; g < 16; ++g) s[g] = level[g] + kScaleHalf;
    write_bit_plane(q, 2, out);
    write_two_bit_planes(q, out + 32);
    for (int g = 0; g < 8; ++g) out[96 + g] = static_cast<std::byte>((s[g] & 15) | (s[g + 8] & 15) << 4);
    for (int g = 0; g < 4; ++g)
      out[104 + g] = static_cast<std::byte>(s[g] >> 4 | s[g + 4] >> 4 << 2 | s[g + 8] >> 4 << 4 | s[g + 12] >> 4 << 6);
    store(out + 108, narrowed(d));
  }
};

/// Levels are -32 … 31, given raised to start at 0.
struct Q6Layout {
  static constexpr int kBytes = 210, kHalf = 32, kScaleHalf = 128;
  static void write(float d, const std::int8_t* s, std::uint8_t* q, std::byte* out) {
    write_nibbles(q, 64, out);
    for (int i = 0; i < kSuper; ++i) q[i] = static_cast<std::uint8_t>(q[i] >> 4);
    write_two_bit_planes(q, out + 128);
    for (int g = 0; g < 16; ++g) out[192 + g] = static_cast<std::byte>(s[g]);
    store(out + 208, narrowed(d));
  }
};

}  // namespace
}  // namespace mtmd::quant::ISA
