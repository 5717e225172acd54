#include "encoders/image/sizing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mtmd::image {
namespace {

/// A side as float back to int; extreme ratios saturate instead of overflowing.
int to_side(float value) noexcept {
  constexpr float kMost = 1 << 30;
  return static_cast<int>(std::clamp(value, 0.0f, kMost));
}

}  // namespace

Size smart_resize(Size size, const SmartResize& rule) noexcept {
  const auto w = static_cast<float>(size.width), h = static_cast<float>(size.height),
             a = static_cast<float>(rule.align);
  const auto max_pixels =
      rule.max_pixels > 0 ? static_cast<float>(rule.max_pixels) : std::numeric_limits<float>::infinity();
  const auto min_pixels = static_cast<float>(rule.min_pixels);
  const auto round_by = [&](float v) { return to_side(std::round(v / a) * a); };
  const auto ceil_by = [&](float v) { return to_side(std::ceil(v / a) * a); };
  const auto floor_by = [&](float v) { return to_side(std::floor(v / a) * a); };
  Size out;
  if (rule.longest > 0) {
    const float scale = std::min(static_cast<float>(rule.longest) / w, static_cast<float>(rule.longest) / h);
    out = {ceil_by(w * scale), ceil_by(h * scale)};
  } else {
    out = {round_by(w), round_by(h)};
  }
  out = {std::max(rule.align, out.width), std::max(rule.align, out.height)};
  const float area = static_cast<float>(out.width) * static_cast<float>(out.height);
  if (area > max_pixels) {
    const float beta = std::sqrt(h * w / max_pixels);
    out = {std::max(rule.align, floor_by(w / beta)), std::max(rule.align, floor_by(h / beta))};
  } else if (area < min_pixels) {
    const float beta = std::sqrt(min_pixels / (h * w));
    out = {ceil_by(w * beta), ceil_by(h * beta)};
  }
  return out;
}

Size smart_resize_bounded(Size size, const SmartResize& rule) noexcept {
  Size out = smart_resize(size, rule);
  if (rule.max_pixels <= 0) return out;
  int& longer = out.width >= out.height ? out.width : out.height;
  const int shorter = std::min(out.width, out.height);
  if (static_cast<std::int64_t>(longer) * shorter > rule.max_pixels) {
    const std::int64_t fits = rule.max_pixels / shorter / rule.align * rule.align;
    longer = static_cast<int>(std::max<std::int64_t>(fits, rule.align));
  }
  return out;
}

Size best_canvas(Size size, std::span<const Size> candidates) noexcept {
  Size best = candidates.front();
  std::int64_t most = -1, least_waste = 0;
  const std::int64_t original = static_cast<std::int64_t>(size.width) * size.height;
  for (const Size& canvas : candidates) {
    const float scale = std::min(static_cast<float>(canvas.width) / static_cast<float>(size.width),
                                 static_cast<float>(canvas.height) / static_cast<float>(size.height));
    const std::int64_t scaled = static_cast<std::int64_t>(static_cast<float>(size.width) * scale) *
                                static_cast<std::int64_t>(static_cast<float>(size.height) * scale);
    const std::int64_t effective = std::min(scaled, original);
    const std::int64_t waste = static_cast<std::int64_t>(canvas.width) * canvas.height - effective;
    if (effective > most || (effective == most && waste < least_waste)) {
      best = canvas, most = effective, least_waste = waste;
    }
  }
  return best;
}

Size closest_canvas(Size size, std::span<const Size> candidates) noexcept {
  const auto ratio = [](Size s) { return static_cast<float>(s.width) / static_cast<float>(s.height); };
  const auto area = [](Size s) { return static_cast<double>(s.width) * s.height; };
  Size best = candidates.front();
  float least = std::numeric_limits<float>::infinity();
  for (const Size& canvas : candidates) {
    const float difference = std::abs(ratio(size) - ratio(canvas));
    if (difference < least || (difference == least && area(size) > area(canvas) / 2)) best = canvas;
    least = std::min(least, difference);
  }
  return best;
}

std::vector<Size> tile_grids(int least, int most, int tile) {
  std::vector<Size> grids;
  for (int n = least; n <= most; ++n) {
    for (int columns = 1; columns <= n; ++columns) {
      if (n % columns == 0) grids.push_back({columns * tile, n / columns * tile});
    }
  }
  return grids;
}

}  // namespace mtmd::image
