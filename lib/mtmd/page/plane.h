// Grey pictures inside the page code, and Leptonica's pictures with an owner.
#pragma once

#include <leptonica/allheaders.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace mtmd::page {

/// 8-bit grey, row-major.
struct Plane {
  int width = 0, height = 0;
  std::vector<std::uint8_t> level;

  Plane() = default;
  Plane(int w, int h, std::uint8_t fill = 0) : width(w), height(h), level(std::size_t(w) * std::size_t(h), fill) {}
  std::uint8_t* row(int y) noexcept { return level.data() + std::size_t(y) * std::size_t(width); }
  const std::uint8_t* row(int y) const noexcept { return level.data() + std::size_t(y) * std::size_t(width); }
  /// The nearest pixel of the picture.
  std::uint8_t near(int x, int y) const noexcept {
    return row(std::clamp(y, 0, height - 1))[std::clamp(x, 0, width - 1)];
  }
};

struct PixDelete {
  void operator()(PIX* pix) const noexcept { pixDestroy(&pix); }
};
using Pix = std::unique_ptr<PIX, PixDelete>;

/// Null when Leptonica refuses the size.
inline Pix to_pix(const Plane& plane) {
  Pix pix(pixCreateNoInit(plane.width, plane.height, 8));
  if (!pix) return pix;
  const auto words = pixGetWpl(pix.get());
  for (int y = 0; y < plane.height; ++y) {
    l_uint32* out = pixGetData(pix.get()) + std::size_t(y) * std::size_t(words);
    const std::uint8_t* in = plane.row(y);
    for (int x = 0; x < plane.width; ++x) SET_DATA_BYTE(out, x, in[x]);
  }
  return pix;
}

inline Plane to_plane(PIX* pix) {
  Plane plane(pixGetWidth(pix), pixGetHeight(pix));
  const auto words = pixGetWpl(pix);
  for (int y = 0; y < plane.height; ++y) {
    const l_uint32* in = pixGetData(pix) + std::size_t(y) * std::size_t(words);
    std::uint8_t* out = plane.row(y);
    for (int x = 0; x < plane.width; ++x) out[x] = std::uint8_t(GET_DATA_BYTE(in, x));
  }
  return plane;
}

}  // namespace mtmd::page
