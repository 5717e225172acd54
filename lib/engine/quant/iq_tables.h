// Private to this folder: for every pattern of rounded levels, the codebook entries near it (IQ1, IQ2, IQ3 encoders).
#pragma once

#include <cstdint>

namespace mtmd::quant {

/// A *code* is a codebook entry as 16 bits: for runs of eight 2 bits a value (its level number, 0..2), first value
/// lowest; for runs of four one nibble a value: its level number (0..7), plus 8 in the nibbles of values 1 and 3, so
/// that a nibble selects out of a register with the eight terms of two values.
/// A *pattern* is any run of level numbers, 2 or 3 bits each, in the codebook or not.
struct GridTable {
  static constexpr std::uint32_t kOnGrid = 1u << 31;
  static constexpr int kListUnit = 16;  ///< lists are filled up to whole registers by repeating their last code

  /// By pattern. In the codebook: kOnGrid | index. Else: the start of its list in units of 16 codes << 8 | length in
  /// units of 16.
  const std::uint32_t* entries;
  const std::uint16_t* lists;  ///< codes, nearest first; of the same distance the lower index first
  const std::uint16_t* codes;  ///< by index
  int size;                    ///< a multiple of 16
};

/// Pattern of a code of a run of four.
[[gnu::always_inline]] inline unsigned pattern_of_four(unsigned code) noexcept {
  return (code & 7u) | (code >> 1 & 070u) | (code >> 2 & 0700u) | (code >> 3 & 07000u);
}

enum class Codebook : std::uint8_t { iq1, iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s };

/// Built on first use, from any thread.
const GridTable& grid_table(Codebook codebook);

}  // namespace mtmd::quant
