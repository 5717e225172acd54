// Pictures as the encoders see them.
#pragma once

#include <cstdint>
#include <vector>

namespace mtmd::image {

struct Size {
  int width = 0, height = 0;
  friend bool operator==(const Size&, const Size&) = default;
};

/// Interleaved RGB, 8 bits, row-major from the top left: rgb.size() == 3 * width * height.
struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;
  Size size() const noexcept { return {width, height}; }
};

/// After normalisation: interleaved RGB rows, f32 (one tile, frame or whole picture).
struct Planes {
  int width = 0, height = 0;
  std::vector<float> rgb;
};

}  // namespace mtmd::image
