// IQ3: runs of four magnitudes from a codebook, with a sign each.
#include "engine/quant/formats.h"
#include "engine/quant/grids.h"

namespace mtmd::quant {
namespace {

constexpr int kBlock = 256;

void run_of_four(float scale, const std::array<std::int8_t, 4>& entry, unsigned signs, float* y) {
  for (unsigned j = 0; j < 4; ++j) {
    const float v = scale * static_cast<float>(entry[j]);
    y[j] = (signs >> j & 1u) ? -v : v;
  }
}

}  // namespace

void decode_iq3_xxs(const std::byte* b, float* y, std::int64_t n) {
  static const auto grid = unpack<4>(kIq3XxsGrid, kIq3XxsLevels);
  for (; n > 0; n -= kBlock, b += 98, y += kBlock) {
    const float d = load_f16(b);
    for (int g = 0; g < 8; ++g) {
      const auto word = load<std::uint32_t>(b + 66 + 4 * g);
      const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
      for (int r = 0; r < 8; ++r) {
        const unsigned signs = even_signs(word >> 7 * (r / 2) & 127u) >> 4 * (r % 2);
        run_of_four(scale, grid[u8(b[2 + 8 * g + r])], signs, y + 32 * g + 4 * r);
      }
    }
  }
}

void decode_iq3_s(const std::byte* b, float* y, std::int64_t n) {
  static const auto grid = unpack<4>(kIq3SGrid, kIq3SLevels);
  for (; n > 0; n -= kBlock, b += 110, y += kBlock) {
    const float d = load_f16(b);
    for (int r = 0; r < 64; ++r) {
      const int g = r / 8;
      const int index = u8(b[2 + r]) | (u8(b[66 + g]) >> r % 8 & 1) << 8;
      const float scale = d * static_cast<float>(1 + 2 * (u8(b[106 + g / 2]) >> 4 * (g % 2) & 15));
      const unsigned signs = static_cast<unsigned>(u8(b[74 + r / 2])) >> 4 * (r % 2);
      run_of_four(scale, grid[static_cast<std::size_t>(index)], signs, y + 4 * r);
    }
  }
}

}  // namespace mtmd::quant
