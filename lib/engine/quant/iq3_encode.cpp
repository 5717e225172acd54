// IQ3: the shared search, and where the bits go.
#include "engine/quant/iq_grid_improve.h"

namespace mtmd::quant::ISA {
void encode_iq3_xxs(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort) {
  for_each_block<kIq3Xxs>(
      x, b, n, importance, effort, decode_iq3_xxs,
      [](const GridTable& table, const Prepared& p, const Choice& c, const int* s, float d, std::byte* out) {
        store(out, narrowed(d));
        for (int g = 0; g < 8; ++g) {
          std::uint32_t word = static_cast<std::uint32_t>(s[g]) << 28;
          for (int r = 0; r < 8 && !c.empty[g]; ++r)
            out[2 + 8 * g + r] = static_cast<std::byte>(index_of<kIq3Xxs>(table, c.codes[8 * g + r]));
          for (int r = 0; r < 4 && !c.empty[g]; ++r) word |= (p.signs[4 * g + r] & 127u) << 7 * r;
          store(out + 66 + 4 * g, word);
        }
      });
}

void encode_iq3_s(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort) {
  for_each_block<kIq3S>(
      x, b, n, importance, effort, decode_iq3_s,
      [](const GridTable& table, const Prepared& p, const Choice& c, const int* s, float d, std::byte* out) {
        store(out, narrowed(d));
        for (int r = 0; r < 64; ++r) {
          if (c.empty[r / 8]) continue;
          const unsigned index = index_of<kIq3S>(table, c.codes[r]);
          out[2 + r] = static_cast<std::byte>(index & 255u);
          out[66 + r / 8] |= static_cast<std::byte>(index >> 8 << r % 8);
        }
        for (int r = 0; r < 32; ++r)
          if (!c.empty[r / 4]) out[74 + r] = static_cast<std::byte>(p.signs[r]);
        for (int g = 0; g < 4; ++g) out[106 + g] = static_cast<std::byte>(s[2 * g] | s[2 * g + 1] << 4);
      });
}

}  // namespace mtmd::quant::ISA
