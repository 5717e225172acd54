#include "encoders/projector/slices.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace mtmd::encoders {
namespace {

constexpr int kMostSquares = 4;  ///< pixels of an input, in trained squares

/// The nearest multiple of `unit`, at least one.
int nearest_multiple(int length, int unit) noexcept {
  const float n = std::round(static_cast<float>(length) / static_cast<float>(unit));
  const int most = (1 << 30) / unit;
  return std::max(1, static_cast<int>(std::min(n, static_cast<float>(most)))) * unit;
}

/// The same shape with the pixels of the trained square; smaller pictures keep their size unless `enlarge`.
image::Size squared(image::Size size, const SliceRule& rule, bool enlarge) noexcept {
  const std::int64_t trained = std::int64_t{rule.side} * rule.side;
  if (enlarge || std::int64_t{size.width} * size.height > trained) {
    const float ratio = static_cast<float>(size.width) / static_cast<float>(size.height);
    size.height = static_cast<int>(static_cast<float>(rule.side) / std::sqrt(ratio));
    size.width = static_cast<int>(static_cast<float>(size.height) * ratio);
  }
  image::Size out{nearest_multiple(size.width, rule.align), nearest_multiple(size.height, rule.align)};
  int& longer = out.width > out.height ? out.width : out.height;
  const std::int64_t fits = kMostSquares * trained / std::min(out.width, out.height) / rule.align * rule.align;
  longer = static_cast<int>(std::min<std::int64_t>(longer, std::max<std::int64_t>(fits, rule.align)));
  return out;
}

/// The grid of about `wanted` slices whose shape is closest to the picture's.
image::Size best_grid(image::Size size, int wanted, int most) noexcept {
  const float shape = std::log(static_cast<float>(size.width) / static_cast<float>(size.height));
  image::Size best{1, 1};
  float least = std::numeric_limits<float>::infinity();
  for (int n = wanted - 1; n <= wanted + 1; ++n) {
    if (n <= 1 || n > most) continue;
    for (int columns = 1; columns <= n; ++columns) {
      if (n % columns != 0) continue;
      const int rows = n / columns;
      const auto error = static_cast<float>(std::abs(shape - std::log(1.0 * columns / rows)));
      if (error < least) best = {columns, rows}, least = error;
    }
  }
  return best;
}

}  // namespace

Slices choose_slices(image::Size picture, const SliceRule& rule) noexcept {
  Slices out;
  if (std::max(picture.width, picture.height) <= rule.side) {
    out.overview = {rule.side, rule.side};
    return out;
  }
  out.overview = squared(picture, rule, false);
  const float area = static_cast<float>(picture.width) * static_cast<float>(picture.height);
  const float squares = std::ceil(area / static_cast<float>(std::int64_t{rule.side} * rule.side));
  const image::Size grid =
      best_grid(picture, static_cast<int>(std::min(squares, static_cast<float>(rule.most))), rule.most);
  out.columns = grid.width, out.rows = grid.height;
  const image::Size slice = squared({nearest_multiple(picture.width, grid.width) / grid.width,
                                     nearest_multiple(picture.height, grid.height) / grid.height},
                                    rule, true);
  out.canvas = {slice.width * grid.width, slice.height * grid.height};
  return out;
}

void add_slices(Plan& plan, const Slices& slices, const SliceTexts& texts) {
  plan.add_text(texts.overview_begin);
  plan.add_whole({slices.overview, image::Filter::bilinear, image::Padding::none});
  plan.add_text(texts.overview_end);
  if (slices.columns == 0) return;
  const int canvas = static_cast<int>(plan.canvases.size());
  plan.canvases.push_back({slices.canvas, image::Filter::bicubic, image::Padding::ceil});
  const image::Size size{slices.canvas.width / slices.columns, slices.canvas.height / slices.rows};
  plan.add_text(texts.all_begin);
  for (int row = 0; row < slices.rows; ++row) {
    if (row > 0) plan.add_text("\n");
    for (int column = 0; column < slices.columns; ++column) {
      plan.add_text(texts.begin);
      plan.add_input(static_cast<int>(plan.views.size()));
      plan.views.push_back({canvas, column * size.width, row * size.height, size});
      plan.add_text(texts.end);
    }
  }
  plan.add_text(texts.all_end);
}

}  // namespace mtmd::encoders
