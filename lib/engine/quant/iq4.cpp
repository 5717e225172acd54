// Four-bit formats whose nibbles index a table: IQ4_NL and IQ4_XS (own levels), MXFP4 and NVFP4 (e2m1 floats).
#include <array>

#include "engine/quant/formats.h"

namespace mtmd::quant {
namespace {

constexpr std::array<float, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
/// Twice the e2m1 value (1 sign, 2 exponent, 1 mantissa bit); there is no negative zero.
constexpr std::array<float, 16> kTwiceE2m1 = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// `half` bytes hold 2 * half values: the low nibbles first, then the high ones.
void nibbles(const std::byte* qs, int half, float scale, const std::array<float, 16>& levels, float* y) {
  for (int j = 0; j < half; ++j) {
    y[j] = scale * levels[static_cast<std::size_t>(u8(qs[j]) & 15)];
    y[j + half] = scale * levels[static_cast<std::size_t>(u8(qs[j]) >> 4)];
  }
}

}  // namespace

void decode_iq4_nl(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= 32, b += 18, y += 32) nibbles(b + 2, 16, load_f16(b), kIq4Levels, y);
}

void decode_iq4_xs(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= 256, b += 136, y += 256) {
    const float d = load_f16(b);
    const int high = load<std::uint16_t>(b + 2);
    for (int g = 0; g < 8; ++g) {
      const int s = (u8(b[4 + g / 2]) >> 4 * (g % 2) & 15) | (high >> 2 * g & 3) << 4;
      nibbles(b + 8 + 16 * g, 16, d * static_cast<float>(s - 32), kIq4Levels, y + 32 * g);
    }
  }
}

void decode_mxfp4(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= 32, b += 17, y += 32) nibbles(b + 1, 16, half_e8m0(u8(b[0])), kTwiceE2m1, y);
}

void decode_nvfp4(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= 64, b += 36, y += 64)
    for (int g = 0; g < 4; ++g) nibbles(b + 4 + 8 * g, 8, half_e4m3(u8(b[g])), kTwiceE2m1, y + 16 * g);
}

}  // namespace mtmd::quant
