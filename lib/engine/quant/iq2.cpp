// IQ2: runs of eight magnitudes from a codebook, with a sign each.
#include "engine/quant/formats.h"
#include "engine/quant/grids.h"

namespace mtmd::quant {
namespace {

constexpr int kBlock = 256;

void run_of_eight(float scale, const std::array<std::int8_t, 8>& entry, unsigned signs, float* y) {
  for (unsigned j = 0; j < 8; ++j) {
    const float v = scale * static_cast<float>(entry[j]);
    y[j] = (signs >> j & 1u) ? -v : v;
  }
}

float scale_of(float d, int s) { return d * (0.5f + static_cast<float>(s)) * 0.25f; }

}  // namespace

void decode_iq2_xxs(const std::byte* b, float* y, std::int64_t n) {
  static const auto grid = unpack<8>(kIq2XxsGrid, kIq2Levels);
  for (; n > 0; n -= kBlock, b += 66, y += kBlock) {
    const float d = load_f16(b);
    for (int g = 0; g < 8; ++g) {
      const std::byte* index = b + 2 + 8 * g;
      const auto signs = load<std::uint32_t>(index + 4);
      const float scale = scale_of(d, static_cast<int>(signs >> 28));
      for (int r = 0; r < 4; ++r)
        run_of_eight(scale, grid[u8(index[r])], even_signs(signs >> 7 * r & 127u), y + 32 * g + 8 * r);
    }
  }
}

void decode_iq2_xs(const std::byte* b, float* y, std::int64_t n) {
  static const auto grid = unpack<8>(kIq2XsGrid, kIq2Levels);
  for (; n > 0; n -= kBlock, b += 74, y += kBlock) {
    const float d = load_f16(b);
    for (int r = 0; r < 32; ++r) {
      const unsigned q = load<std::uint16_t>(b + 2 + 2 * r);
      const float scale = scale_of(d, u8(b[66 + r / 4]) >> 4 * (r / 2 % 2) & 15);
      run_of_eight(scale, grid[q & 511u], even_signs(q >> 9), y + 8 * r);
    }
  }
}

void decode_iq2_s(const std::byte* b, float* y, std::int64_t n) {
  static const auto grid = unpack<8>(kIq2SGrid, kIq2Levels);
  for (; n > 0; n -= kBlock, b += 82, y += kBlock) {
    const float d = load_f16(b);
    for (int r = 0; r < 32; ++r) {
      const int index = u8(b[2 + r]) | (u8(b[66 + r / 4]) >> 2 * (r % 4) & 3) << 8;
      const float scale = scale_of(d, u8(b[74 + r / 4]) >> 4 * (r / 2 % 2) & 15);
      run_of_eight(scale, grid[static_cast<std::size_t>(index)], static_cast<unsigned>(u8(b[34 + r])), y + 8 * r);
    }
  }
}

}  // namespace mtmd::quant
