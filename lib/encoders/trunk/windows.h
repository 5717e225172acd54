// Attention inside windows (Qwen2.5-VL, arXiv:2502.13923): the encoder sees a picture's cells window by window.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/device/device.h"

namespace mtmd::encoders {

/// The cells of a grid (merge x merge patches each), window by window; cells of a window row by row, patches of a cell
/// row by row.
struct Windows {
  std::vector<std::int32_t> patches;  ///< raster indices of patches, in the encoder's order
  std::vector<KeyRange> ranges;       ///< per patch, the patches of its window
  std::vector<std::int32_t> inverse;  ///< per cell in raster order, where the encoder has it
};

/// `columns` x `rows` cells, windows of `side` x `side` cells (those at the edges may be smaller).
Windows make_windows(int columns, int rows, int side, int merge);

/// Ranges of `n_pictures` pictures one after the other, each with those of `one`.
std::vector<KeyRange> repeated(const std::vector<KeyRange>& one, std::int64_t n_pictures);

}  // namespace mtmd::encoders
