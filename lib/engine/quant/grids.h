// Private to this folder: the codebooks of the IQ1, IQ2 and IQ3 formats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/quant/codebooks.h"

namespace mtmd::quant {

// One 16-bit number per entry, first value lowest: eight 2-bit level numbers (IQ1, IQ2) or four 4-bit ones (IQ3).
extern const std::array<std::uint16_t, 256> kIq2XxsGrid;
extern const std::array<std::uint16_t, 512> kIq2XsGrid;
extern const std::array<std::uint16_t, 1024> kIq2SGrid;
extern const std::array<std::uint16_t, 256> kIq3XxsGrid;
extern const std::array<std::uint16_t, 512> kIq3SGrid;
extern const std::array<std::uint16_t, 2048> kIq1Grid;  // shared by IQ1_S and IQ1_M

// By level number; the codes beyond the last do not occur.
constexpr std::array<std::int8_t, 4> kIq2Levels = {8, 25, 43, 0};
constexpr std::array<std::int8_t, 16> kIq3XxsLevels = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr std::array<std::int8_t, 16> kIq3SLevels = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr std::array<std::int8_t, 4> kIq1Levels = {-1, 0, 1, 0};

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

/// The entries as runs of bytes, 128 + factor * value.
template <class Run, std::size_t N, std::size_t Levels>
constexpr CodebookRuns<Run, N> runs(const std::array<std::uint16_t, N>& packed,
                                    const std::array<std::int8_t, Levels>& levels, int factor = 1) noexcept {
  constexpr unsigned width = sizeof(Run), bits = 16 / width, mask = (1u << bits) - 1;
  CodebookRuns<Run, N> book{};
  for (std::size_t i = 0; i < N; ++i)
    for (unsigned j = 0; j < width; ++j)
      book.entries[i] |= static_cast<Run>(128 + factor * levels[packed[i] >> bits * j & mask]) << 8 * j;
  return book;
}

template <std::size_t N>
constexpr CodebookHalves<N> halves(const std::array<std::uint16_t, N>& packed,
                                   const std::array<std::int8_t, 16>& levels) noexcept {
  CodebookHalves<N> book{};
  for (std::size_t i = 0; i < N; ++i)
    book.first[i] = static_cast<std::uint8_t>(packed[i]), book.second[i] = static_cast<std::uint8_t>(packed[i] >> 8);
  for (std::size_t i = 0; i < levels.size(); ++i) book.levels[i] = levels[i];
  return book;
}

/// A 7-bit sign index as eight sign bits: the eighth makes the number of minus signs even.
inline unsigned even_signs(unsigned index) noexcept {
  return index | (static_cast<unsigned>(__builtin_popcount(index)) & 1u) << 7;
}

}  // namespace mtmd::quant
