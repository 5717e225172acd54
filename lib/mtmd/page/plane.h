// Grey pictures inside the page code.
#pragma once

#include <algorithm>
#include <cstdint>
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

}  // namespace mtmd::page
