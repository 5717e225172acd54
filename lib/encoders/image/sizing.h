// Which size a model wants to see a picture at.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "encoders/image/image.h"

namespace mtmd::image {

/// Qwen2-VL's rule (arXiv:2409.12191): sides become multiples of `align` while the area stays within [min, max] pixels
/// where the aspect ratio allows. With `longest` > 0 the picture is first scaled so that neither side exceeds it. Every
/// step in f32. Sides at least 1. Very long strips may exceed `max_pixels`: the short side cannot become less than
/// `align`.
struct SmartResize {
  int align = 1;
  std::int64_t min_pixels = 0, max_pixels = 0;  ///< max 0: no upper limit
  int longest = 0;
};
Size smart_resize(Size size, const SmartResize& rule) noexcept;

/// The same, and a result of more than max_pixels is shortened along its long side (max_pixels > 0).
Size smart_resize_bounded(Size size, const SmartResize& rule) noexcept;

/// The canvas on which a picture keeps most of its pixels; of equals the one that wastes least, of equals the first
/// (LLaVA-NeXT). `candidates` must not be empty.
Size best_canvas(Size size, std::span<const Size> candidates) noexcept;

/// The canvas whose sides have the ratio closest to the picture's; of equals the last that the picture would fill by
/// more than half, else the first (InternVL, DeepSeek-OCR). `candidates` must not be empty.
Size closest_canvas(Size size, std::span<const Size> candidates) noexcept;

/// Grids of `least` to `most` tiles, fewest tiles first, narrowest first: sizes in pixels.
std::vector<Size> tile_grids(int least, int most, int tile);

}  // namespace mtmd::image
