// IQ1: runs of eight values -1, 0, 1 from a codebook, all shifted by plus or minus one eighth.
#include "engine/quant/formats.h"
#include "engine/quant/grids.h"

namespace mtmd::quant {
namespace {

constexpr int kBlock = 256;
constexpr float kDelta = 0.125f;

const Grid<2048, 8>& grid() {
  static const auto entries = unpack<8>(kIq1Grid, kIq1Levels);
  return entries;
}

void run_of_eight(float scale, const std::array<std::int8_t, 8>& entry, float delta, float* y) {
  for (std::size_t j = 0; j < 8; ++j) y[j] = scale * (static_cast<float>(entry[j]) + delta);
}

}  // namespace

void decode_iq1_s(const std::byte* b, float* y, std::int64_t n) {
  const auto& entries = grid();
  for (; n > 0; n -= kBlock, b += 50, y += kBlock) {
    const float d = load_f16(b);
    for (int g = 0; g < 8; ++g) {
      const unsigned word = load<std::uint16_t>(b + 34 + 2 * g);
      const float scale = d * static_cast<float>(2 * (word >> 12 & 7u) + 1);
      const float delta = (word & 0x8000u) ? -kDelta : kDelta;
      for (int r = 0; r < 4; ++r) {
        const unsigned index = static_cast<unsigned>(u8(b[2 + 4 * g + r])) | (word >> 3 * r & 7u) << 8;
        run_of_eight(scale, entries[index], delta, y + 32 * g + 8 * r);
      }
    }
  }
}

void decode_iq1_m(const std::byte* b, float* y, std::int64_t n) {
  const auto& entries = grid();
  for (; n > 0; n -= kBlock, b += 56, y += kBlock) {
    std::array<unsigned, 4> scales;
    unsigned d_bits = 0;  // the half-precision scale is spread over the top nibbles of the four words
    for (unsigned k = 0; k < 4; ++k) {
      scales[k] = load<std::uint16_t>(b + 48 + 2 * k);
      d_bits |= scales[k] >> 12 << 4 * k;
    }
    const float d = widened(static_cast<std::uint16_t>(d_bits));
    for (int r = 0; r < 32; ++r) {
      const int nibble = u8(b[32 + r / 2]) >> 4 * (r % 2) & 15;
      const int index = u8(b[r]) | (nibble & 7) << 8;
      const float scale = d * static_cast<float>(2 * (scales[r / 8] >> 3 * (r / 2 % 4) & 7u) + 1);
      run_of_eight(scale, entries[static_cast<std::size_t>(index)], (nibble & 8) ? -kDelta : kDelta, y + 8 * r);
    }
  }
}

}  // namespace mtmd::quant
