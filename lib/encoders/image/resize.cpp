#include "encoders/image/resize.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "encoders/image/filters.h"

namespace mtmd::image {

Image resize(const Image& source, Size size, Filter filter) {
  assert(source.width > 0 && source.height > 0 && size.width > 0 && size.height > 0);
  if (source.size() == size) return source;
  switch (filter) {
    case Filter::bilinear:
      return resize_bilinear(source, size);
    case Filter::bicubic:
      return resize_cubic(source, size);
    case Filter::bicubic_pillow:
    case Filter::lanczos:
      return resize_antialiased(source, size, filter);
  }
  return {};
}

Placement place(Size source, Size canvas, Padding padding) noexcept {
  if (padding == Padding::none || source == canvas) return {0, 0, canvas};
  const float scale = std::min(static_cast<float>(canvas.width) / static_cast<float>(source.width),
                               static_cast<float>(canvas.height) / static_cast<float>(source.height));
  const auto side = [&](int from, int limit) {
    const float scaled = static_cast<float>(from) * scale;
    const float rounded = padding == Padding::ceil ? std::ceil(scaled) : std::round(scaled);
    return std::clamp(static_cast<int>(rounded), 1, limit);
  };
  const auto offset = [&](int limit, int used) {
    return padding == Padding::ceil ? (limit - used) / 2 : static_cast<int>(std::round((limit - used) / 2.0));
  };
  const Size used{side(source.width, canvas.width), side(source.height, canvas.height)};
  return {offset(canvas.width, used.width), offset(canvas.height, used.height), used};
}

Image fit(const Image& source, Size canvas, Filter filter, Padding padding, Color color) {
  const Placement at = place(source.size(), canvas, padding);
  Image scaled = resize(source, at.size, filter);
  if (at.size == canvas) return scaled;
  Image out{canvas.width, canvas.height, {}};
  out.rgb.resize(std::size_t{3} * canvas.width * canvas.height);
  for (std::size_t i = 0; i < out.rgb.size(); i += 3) std::copy(color.begin(), color.end(), out.rgb.begin() + i);
  const std::size_t row_bytes = std::size_t{3} * at.size.width;
  for (int y = 0; y < at.size.height; ++y) {
    std::memcpy(&out.rgb[3 * (static_cast<std::size_t>(at.y + y) * canvas.width + at.x)], &scaled.rgb[y * row_bytes],
                row_bytes);
  }
  return out;
}

Image crop(const Image& source, int x, int y, Size size) {
  assert(x >= 0 && y >= 0 && x + size.width <= source.width && y + size.height <= source.height);
  Image out{size.width, size.height, {}};
  const std::size_t row_bytes = std::size_t{3} * size.width;
  out.rgb.resize(row_bytes * size.height);
  for (int row = 0; row < size.height; ++row) {
    std::memcpy(&out.rgb[row * row_bytes], &source.rgb[3 * (static_cast<std::size_t>(y + row) * source.width + x)],
                row_bytes);
  }
  return out;
}

Planes normalize(const Image& source, const std::array<float, 3>& mean, const std::array<float, 3>& std) {
  std::array<std::array<float, 256>, 3> table;
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t v = 0; v < 256; ++v) table[c][v] = (static_cast<float>(v) / 255.0f - mean[c]) / std[c];
  }
  Planes out{source.width, source.height, std::vector<float>(source.rgb.size())};
  for (std::size_t i = 0; i + 2 < source.rgb.size(); i += 3) {
    for (std::size_t c = 0; c < 3; ++c) out.rgb[i + c] = table[c][source.rgb[i + c]];
  }
  return out;
}

}  // namespace mtmd::image
