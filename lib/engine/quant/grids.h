// Private to this folder: the codebooks of the IQ1, IQ2 and IQ3 formats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mtmd::quant {

// One 16-bit number per entry, first value lowest: eight 2-bit level numbers (IQ1, IQ2) or four 4-bit ones (IQ3).
extern const std::array<std::uint16_t, 256> kIq2XxsGrid;
extern const std::array<std::uint16_t, 512> kIq2XsGrid;
extern const std::array<std::uint16_t, 1024> kIq2SGrid;
extern const std::array<std::uint16_t, 256> kIq3XxsGrid;
extern const std::array<std::uint16_t, 512> kIq3SGrid;
extern const std::array<std::uint16_t, 2048> kIq1Grid;  // shared by IQ1_S and IQ1_M

/// The entries spelt out: N x Width values.
template <std::size_t N, std::size_t Width>
using Grid = std::array<std::array<std::int8_t, Width>, N>;

template <std::size_t Width, std::size_t N, std::size_t Levels>
Grid<N, Width> unpack(const std::array<std::uint16_t, N>& packed,
                      const std::array<std::int8_t, Levels>& levels) noexcept {
  constexpr unsigned bits = 16 / Width, mask = (1u << bits) - 1;
  Grid<N, Width> grid{};
  for (std::size_t i = 0; i < N; ++i)
    for (std::size_t j = 0; j < Width; ++j) grid[i][j] = levels[packed[i] >> bits * j & mask];
  return grid;
}

/// A 7-bit sign index as eight sign bits: the eighth makes the number of minus signs even.
inline unsigned even_signs(unsigned index) noexcept {
  return index | (static_cast<unsigned>(__builtin_popcount(index)) & 1u) << 7;
}

}  // namespace mtmd::quant
