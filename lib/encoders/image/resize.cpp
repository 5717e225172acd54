#include "encoders/image/resize.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <vector>

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
  assert(x >= 0 && y >= 0 && x < source.width && y < source.height);
  Image out{size.width, size.height, {}};
  out.rgb.resize(std::size_t{3} * size.width * size.height);
  const Size inside{std::min(size.width, source.width - x), std::min(size.height, source.height - y)};
  for (int row = 0; row < inside.height; ++row) {
    std::memcpy(&out.rgb[std::size_t{3} * row * size.width],
                &source.rgb[3 * (static_cast<std::size_t>(y + row) * source.width + x)], std::size_t{3} * inside.width);
  }
  return out;
}

namespace {

using LevelTable = std::array<std::array<float, 256>, 3>;

/// The normalised values of all levels, per channel.
LevelTable level_table(const std::array<float, 3>& mean, const std::array<float, 3>& std) {
  LevelTable table;
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t v = 0; v < 256; ++v) table[c][v] = (static_cast<float>(v) / 255.0f - mean[c]) / std[c];
  }
  return table;
}

/// One output coordinate: the source coordinates beside it and the weight of the second.
struct Beside {
  int first, second;
  float weight;
};

std::vector<Beside> half_pixel(int from, int to) {
  const float ratio = static_cast<float>(from) / static_cast<float>(to);
  std::vector<Beside> out;
  for (int i = 0; i < to; ++i) {
    const float at = (static_cast<float>(i) + 0.5f) * ratio - 0.5f, below = std::floor(at);
    const int first = static_cast<int>(below);
    out.push_back({std::clamp(first, 0, from - 1), std::clamp(first + 1, 0, from - 1), at - below});
  }
  return out;
}

}  // namespace

Planes normalize(const Image& source, const std::array<float, 3>& mean, const std::array<float, 3>& std) {
  const LevelTable table = level_table(mean, std);
  Planes out{source.width, source.height, std::vector<float>(source.rgb.size())};
  for (std::size_t i = 0; i + 2 < source.rgb.size(); i += 3) {
    for (std::size_t c = 0; c < 3; ++c) out.rgb[i + c] = table[c][source.rgb[i + c]];
  }
  return out;
}

Planes normalize_stretched(const Image& source, Size size, const std::array<float, 3>& mean,
                           const std::array<float, 3>& std) {
  const LevelTable table = level_table(mean, std);
  const std::vector<Beside> xs = half_pixel(source.width, size.width), ys = half_pixel(source.height, size.height);
  Planes out{size.width, size.height, {}};
  out.rgb.reserve(std::size_t{3} * size.width * size.height);
  for (const Beside& y : ys) {
    const std::uint8_t* top = &source.rgb[std::size_t{3} * y.first * source.width];
    const std::uint8_t* bottom = &source.rgb[std::size_t{3} * y.second * source.width];
    for (const Beside& x : xs) {
      for (std::size_t c = 0; c < 3; ++c) {
        const auto between = [&](const std::uint8_t* row) {
          const float a = table[c][row[3 * x.first + c]], b = table[c][row[3 * x.second + c]];
          return a + (b - a) * x.weight;
        };
        const float a = between(top), b = between(bottom);
        out.rgb.push_back(a + (b - a) * y.weight);
      }
    }
  }
  return out;
}

}  // namespace mtmd::image
