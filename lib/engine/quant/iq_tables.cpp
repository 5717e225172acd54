#include "engine/quant/iq_tables.h"

#include <array>
#include <span>
#include <vector>

#include "engine/quant/grids.h"

namespace mtmd::quant {
namespace {

struct Storage {
  std::vector<std::uint32_t> entries;
  std::vector<std::uint16_t> lists, codes;
  GridTable table = {};
};

/// Runs of Width values; grids.h packs them in fields of 16 / Width bits.
template <unsigned Width>
class Builder {
 public:
  Builder(std::span<const std::uint16_t> grid, int n_distances) : grid_(grid), n_distances_(n_distances) {
    for (unsigned a = 0; a < 256; ++a)
      for (unsigned b = 0; b < 256; ++b) byte_distance_[a][b] = squared_distance(a, b);
  }

  Storage build() {
    Storage s;
    for (const std::uint16_t packed : grid_) s.codes.push_back(code_of(packed));
    s.entries.assign(std::size_t{1} << kPatternBits * Width, 0);
    for (std::size_t i = 0; i < grid_.size(); ++i)
      s.entries[pattern_of(grid_[i])] = GridTable::kOnGrid | static_cast<std::uint32_t>(i);
    for (unsigned pattern = 0; pattern < s.entries.size(); ++pattern)
      if (occurs(pattern) && s.entries[pattern] == 0) s.entries[pattern] = append_list(packed_of(pattern), s);
    s.table = {s.entries.data(), s.lists.data(), s.codes.data(), static_cast<int>(grid_.size())};
    return s;
  }

 private:
  static constexpr unsigned kPatternBits = Width == 8 ? 2 : 3, kPackedBits = 16 / Width;

  static unsigned field(unsigned packed, unsigned i) { return packed >> kPackedBits * i & ((1u << kPackedBits) - 1); }
  static std::uint8_t squared_distance(unsigned a, unsigned b) {
    int sum = 0;
    for (unsigned i = 0; i < Width / 2; ++i) {
      const int d = static_cast<int>(field(a, i)) - static_cast<int>(field(b, i));
      sum += d * d;
    }
    return static_cast<std::uint8_t>(sum);  // at most 2 * 15 * 15 cannot be exceeded by fields of four bits, 98 occurs
  }
  static std::uint16_t code_of(std::uint16_t packed) {
    return static_cast<std::uint16_t>(Width == 8 ? packed : packed | 0x8080u);
  }
  static unsigned pattern_of(unsigned packed) { return Width == 8 ? packed : pattern_of_four(packed); }
  static unsigned packed_of(unsigned pattern) {
    if (Width == 8) return pattern;
    return (pattern & 7u) | (pattern & 070u) << 1 | (pattern & 0700u) << 2 | (pattern & 07000u) << 3;
  }
  static bool occurs(unsigned pattern) { return Width == 4 || (pattern & pattern >> 1 & 0x5555u) == 0; }

  /// The entries at the `n_distances` smallest distances.
  std::uint32_t append_list(unsigned packed, Storage& s) {
    std::array<int, 256> counts{};
    distances_.resize(grid_.size());
    for (std::size_t i = 0; i < grid_.size(); ++i) {
      const int d = byte_distance_[packed & 255u][grid_[i] & 255u] + byte_distance_[packed >> 8][grid_[i] >> 8];
      distances_[i] = static_cast<std::uint8_t>(d);
      ++counts[static_cast<std::size_t>(d)];
    }
    const std::size_t start = s.lists.size();
    int found = 0;
    for (std::size_t d = 0; d < counts.size() && found < n_distances_; ++d) {
      if (counts[d] == 0) continue;
      ++found;
      for (std::size_t i = 0; i < grid_.size(); ++i)
        if (distances_[i] == d) s.lists.push_back(s.codes[i]);
    }
    while (s.lists.size() % GridTable::kListUnit != 0) s.lists.push_back(s.lists.back());
    return static_cast<std::uint32_t>(start / GridTable::kListUnit << 8 |
                                      (s.lists.size() - start) / GridTable::kListUnit);
  }

  std::span<const std::uint16_t> grid_;
  int n_distances_;
  std::array<std::array<std::uint8_t, 256>, 256> byte_distance_;
  std::vector<std::uint8_t> distances_;
};

template <unsigned Width, Codebook>
const GridTable& built(std::span<const std::uint16_t> grid, int n_distances) {
  static const Storage storage = Builder<Width>(grid, n_distances).build();
  return storage.table;
}

}  // namespace

const GridTable& grid_table(Codebook codebook) {
  switch (codebook) {
    case Codebook::iq1:
      return built<8, Codebook::iq1>(kIq1Grid, 3);
    case Codebook::iq2_xxs:
      return built<8, Codebook::iq2_xxs>(kIq2XxsGrid, 2);
    case Codebook::iq2_xs:
      return built<8, Codebook::iq2_xs>(kIq2XsGrid, 2);
    case Codebook::iq2_s:
      return built<8, Codebook::iq2_s>(kIq2SGrid, 1);
    case Codebook::iq3_xxs:
      return built<4, Codebook::iq3_xxs>(kIq3XxsGrid, 2);
    case Codebook::iq3_s:
      return built<4, Codebook::iq3_s>(kIq3SGrid, 3);
  }
  return grid_table(Codebook::iq1);  // not reached
}

}  // namespace mtmd::quant
