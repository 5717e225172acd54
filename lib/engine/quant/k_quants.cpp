// Super-blocks of 256 values with quantised scales per group of 16 or 32.
#include "engine/quant/formats.h"

namespace mtmd::quant {
namespace {

constexpr int kBlock = 256;

/// Two-bit values: 128 values in 32 bytes, value 32 p + j in bits 2 p of byte j. Calls value(i, q) for each of the 16
/// values of group g.
template <class Value>
void two_bit_group(const std::byte* qs, int g, Value value) {
  const std::byte* q = qs + 32 * (g / 8) + 16 * (g % 2);
  const int shift = 2 * (g / 2 % 4);
  for (int j = 0; j < 16; ++j) value(j, u8(q[j]) >> shift & 3);
}

struct ScaleMin {
  int scale, min;
};

/// Group j of 8: the first four have their 6 bits in bytes j and j + 4; the last four keep 4 bits in byte j + 4 (scale
/// low, min high) and the upper two in the free bits above the first four.
ScaleMin scale_min(const std::byte* s, int j) {
  if (j < 4) return {u8(s[j]) & 63, u8(s[j + 4]) & 63};
  return {(u8(s[j + 4]) & 15) | u8(s[j - 4]) >> 6 << 4, u8(s[j + 4]) >> 4 | u8(s[j]) >> 6 << 4};
}

}  // namespace

void decode_q2_k(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 84, y += kBlock) {
    const float d = load_f16(b + 80), dmin = load_f16(b + 82);
    for (int g = 0; g < 16; ++g) {
      const int s = u8(b[g]);
      const float scale = d * static_cast<float>(s & 15), min = dmin * static_cast<float>(s >> 4);
      two_bit_group(b + 16, g, [&](int j, int q) { y[16 * g + j] = scale * static_cast<float>(q) - min; });
    }
  }
}

void decode_q3_k(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 110, y += kBlock) {
    const std::byte *high = b, *qs = b + 32, *s = b + 96;
    const float d = load_f16(b + 108);
    for (int g = 0; g < 16; ++g) {
      const int low = g < 8 ? u8(s[g]) & 15 : u8(s[g - 8]) >> 4;
      const int top = u8(s[8 + g % 4]) >> 2 * (g / 4) & 3;
      const float scale = d * static_cast<float>((low | top << 4) - 32);
      const std::byte* kept = high + 16 * (g % 2);  // bit g / 2 set: the value is not lowered by 4
      two_bit_group(qs, g, [&](int j, int q) {
        y[16 * g + j] = scale * static_cast<float>(q - 4 + 4 * (u8(kept[j]) >> g / 2 & 1));
      });
    }
  }
}

void decode_q4_k(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 144, y += kBlock) {
    const float d = load_f16(b), dmin = load_f16(b + 2);
    for (int g = 0; g < 8; ++g) {
      const auto [s, m] = scale_min(b + 4, g);
      const float scale = d * static_cast<float>(s), min = dmin * static_cast<float>(m);
      const std::byte* qs = b + 16 + 32 * (g / 2);
      const int shift = 4 * (g % 2);
      for (int j = 0; j < 32; ++j) y[32 * g + j] = scale * static_cast<float>(u8(qs[j]) >> shift & 15) - min;
    }
  }
}

void decode_q5_k(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 176, y += kBlock) {
    const float d = load_f16(b), dmin = load_f16(b + 2);
    const std::byte* fifth = b + 16;  // bit g of byte j belongs to value j of group g
    for (int g = 0; g < 8; ++g) {
      const auto [s, m] = scale_min(b + 4, g);
      const float scale = d * static_cast<float>(s), min = dmin * static_cast<float>(m);
      const std::byte* qs = b + 48 + 32 * (g / 2);
      const int shift = 4 * (g % 2);
      for (int j = 0; j < 32; ++j) {
        const int q = (u8(qs[j]) >> shift & 15) | (u8(fifth[j]) >> g & 1) << 4;
        y[32 * g + j] = scale * static_cast<float>(q) - min;
      }
    }
  }
}

void decode_q6_k(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 210, y += kBlock) {
    const float d = load_f16(b + 208);
    for (int g = 0; g < 16; ++g) {
      // Each half of 128 values: 64 bytes of low nibbles (values 0..63 low, 64..127 high), 32 bytes of upper bit pairs.
      const int half = g / 8, k = g % 8;
      const std::byte *low = b + 64 * half + 16 * (k % 4), *top = b + 128 + 32 * half + 16 * (k % 2);
      const int low_shift = 4 * (k / 4), top_shift = 2 * (k / 2);
      const float scale = d * static_cast<float>(i8(b[192 + g]));
      for (int j = 0; j < 16; ++j) {
        const int q = (u8(low[j]) >> low_shift & 15) | (u8(top[j]) >> top_shift & 3) << 4;
        y[16 * g + j] = scale * static_cast<float>(q - 32);
      }
    }
  }
}

}  // namespace mtmd::quant
