// One scale and very few levels: TQ1_0 and TQ2_0 (-1, 0, 1), Q1_0 (-1, 1), Q2_0 (-1, 0, 1, 2).
#include <array>

#include "engine/quant/formats.h"

namespace mtmd::quant {
namespace {

/// Digit `n` (of 5) of a byte that holds a fraction in base 3: multiplying by 3^n modulo 256 brings it to the top.
int ternary_digit(int byte, int n) {
  constexpr std::array<int, 5> power = {1, 3, 9, 27, 81};
  return ((byte * power[static_cast<std::size_t>(n)] & 255) * 3 >> 8) - 1;
}

}  // namespace

void decode_tq1_0(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= 256, b += 54) {
    const float d = load_f16(b + 52);
    // Digit planes over 32 bytes (5 digits each), 16 bytes (5) and 4 bytes (4).
    const auto section = [&](const std::byte* bytes, int count, int digits) {
      for (int k = 0; k < digits; ++k)
        for (int j = 0; j < count; ++j) *y++ = d * static_cast<float>(ternary_digit(u8(bytes[j]), k));
    };
    section(b, 32, 5);
    section(b + 32, 16, 5);
    section(b + 48, 4, 4);
  }
}

void decode_tq2_0(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= 256, b += 66, y += 256) {
    const float d = load_f16(b + 64);
    for (int plane = 0; plane < 8; ++plane)  // planes as in Q2_K
      for (int j = 0; j < 32; ++j) {
        const int q = u8(b[32 * (plane / 4) + j]) >> 2 * (plane % 4) & 3;
        y[32 * plane + j] = d * static_cast<float>(q - 1);
      }
  }
}

void decode_q1_0(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= 128, b += 18, y += 128) {
    const float d = load_f16(b);
    for (int i = 0; i < 128; ++i) y[i] = (u8(b[2 + i / 8]) >> i % 8 & 1) ? d : -d;
  }
}

void decode_q2_0(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= 64, b += 18, y += 64) {
    const float d = load_f16(b);
    for (int i = 0; i < 64; ++i) y[i] = d * static_cast<float>((u8(b[2 + i / 4]) >> 2 * (i % 4) & 3) - 1);
  }
}

}  // namespace mtmd::quant
