// Resizing of 8-bit pictures, pixel for pixel as the models' own preprocessing was recorded (conformance/media).
#pragma once

#include <array>

#include "encoders/image/image.h"

namespace mtmd::image {

enum class Filter {
  bilinear,        ///< corner-aligned, no antialiasing, result truncated
  bicubic,         ///< Lagrange cubic over 4 x 4 pixels, no antialiasing
  bicubic_pillow,  ///< antialiased cubic (a = -0.5), Pillow's fixed-point arithmetic
  lanczos,         ///< antialiased, 3 lobes, Pillow's fixed-point arithmetic
};

/// How a picture of another aspect ratio fills its canvas.
enum class Padding {
  none,     ///< stretched over the whole canvas
  ceil,     ///< scaled to fit, sides rounded up, centred (rounded towards the top left)
  nearest,  ///< scaled to fit, sides rounded, centred (rounded to nearest)
};

using Color = std::array<std::uint8_t, 3>;

/// Where the scaled picture lies within its canvas.
struct Placement {
  int x = 0, y = 0;
  Size size;
};

/// All sides must be at least 1. Same size: a copy. Memory beyond the result is linear in one side of the result times
/// the rows that one result row is made of.
Image resize(const Image& source, Size size, Filter filter);

Placement place(Size source, Size canvas, Padding padding) noexcept;

/// `source` scaled into `canvas`, the rest filled with `color`.
Image fit(const Image& source, Size canvas, Filter filter, Padding padding, Color color = {0, 0, 0});

/// Bilinear, of a black canvas of `extent` with `source` in its top left; nothing of that size is allocated.
Image resize_on_black(const Image& source, Size extent, Size size);

/// The pixels of a rectangle that begins within `source`; what sticks out to the right or below is black.
Image crop(const Image& source, int x, int y, Size size);

/// (v / 255 - mean) / std per channel.
Planes normalize(const Image& source, const std::array<float, 3>& mean, const std::array<float, 3>& std);
/// The same, then stretched to `size` in f32: bilinear, half-pixel centres, no antialiasing.
Planes normalize_stretched(const Image& source, Size size, const std::array<float, 3>& mean,
                           const std::array<float, 3>& std);

}  // namespace mtmd::image
