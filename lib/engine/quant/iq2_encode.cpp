// IQ2: the shared search, and where the bits go.
#include "engine/quant/iq_grid_improve.h"

namespace mtmd::quant::ISA {
void encode_iq2_xxs(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort) {
  for_each_block<kIq2Xxs>(
      x, b, n, importance, effort, decode_iq2_xxs,
      [](const GridTable& table, const Prepared& p, const Choice& c, const int* s, float d, std::byte* out) {
        store(out, narrowed(d));
        for (int g = 0; g < 8; ++g) {
          std::uint32_t word = static_cast<std::uint32_t>(s[g]) << 28;
          for (int r = 0; r < 4 && !c.empty[g]; ++r) {
            out[2 + 8 * g + r] = static_cast<std::byte>(index_of<kIq2Xxs>(table, c.codes[4 * g + r]));
            word |= (p.signs[4 * g + r] & 127u) << 7 * r;
          }
          store(out + 6 + 8 * g, word);
        }
      });
}

void encode_iq2_xs(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort) {
  for_each_block<kIq2Xs>(
      x, b, n, importance, effort, decode_iq2_xs,
      [](const GridTable& table, const Prepared& p, const Choice& c, const int* s, float d, std::byte* out) {
        store(out, narrowed(d));
        for (int r = 0; r < 32; ++r)
          if (!c.empty[r / 2])
            store(out + 2 + 2 * r,
                  static_cast<std::uint16_t>(index_of<kIq2Xs>(table, c.codes[r]) | (p.signs[r] & 127u) << 9));
        for (int g = 0; g < 8; ++g) out[66 + g] = static_cast<std::byte>(s[2 * g] | s[2 * g + 1] << 4);
      });
}

void encode_iq2_s(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort) {
  for_each_block<kIq2S>(
      x, b, n, importance, effort, decode_iq2_s,
      [](const GridTable& table, const Prepared& p, const Choice& c, const int* s, float d, std::byte* out) {
        store(out, narrowed(d));
        for (int r = 0; r < 32; ++r) {
          if (c.empty[r / 2]) continue;
          const unsigned index = index_of<kIq2S>(table, c.codes[r]);
          out[2 + r] = static_cast<std::byte>(index & 255u);
          out[34 + r] = static_cast<std::byte>(p.signs[r]);
          out[66 + r / 4] |= static_cast<std::byte>(index >> 8 << 2 * (r % 4));
        }
        for (int g = 0; g < 8; ++g) out[74 + g] = static_cast<std::byte>(s[2 * g] | s[2 * g + 1] << 4);
      });
}

}  // namespace mtmd::quant::ISA
