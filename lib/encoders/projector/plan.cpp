#include "encoders/projector/plan.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "encoders/image/sizing.h"

namespace mtmd::encoders {
namespace {

image::Image cut(const image::Image& canvas, const View& view) {
  if (view.parts == 1) return image::crop(canvas, view.x, view.y, view.size);
  image::Image out{view.size.width, view.size.height, {}};
  const image::Size tile{view.size.width, view.size.height / view.parts};
  for (int i = 0; i < view.parts; ++i) {
    const image::Image part = image::crop(canvas, view.x + i * tile.width, view.y, tile);
    out.rgb.insert(out.rgb.end(), part.rgb.begin(), part.rgb.end());
  }
  return out;
}

image::Image paint(const Canvas& canvas, const image::Image& source) {
  if (canvas.extent.width > 0) return image::resize_on_black(source, canvas.extent, canvas.size);
  return image::fit(source, canvas.size, canvas.filter, canvas.padding, canvas.color);
}

image::Planes take(const image::Image& canvas, const View& view, const Normalization& how) {
  const bool whole = view.size == canvas.size() && view.parts == 1;
  const image::Image own = whole ? image::Image{} : cut(canvas, view);
  const image::Image& pixels = whole ? canvas : own;
  if (view.stretched.width > 0) return image::normalize_stretched(pixels, view.stretched, how.mean, how.std);
  return image::normalize(pixels, how.mean, how.std);
}

/// The largest extent of pixels that an input sees.
image::Size used_size(const Plan& plan, image::Size picture) {
  const auto area = [](image::Size s) { return static_cast<std::int64_t>(s.width) * s.height; };
  image::Size used;
  for (const View& view : plan.views) {
    const Canvas& canvas = plan.canvases[static_cast<std::size_t>(view.canvas)];
    const image::Size source =
        canvas.source < 0 ? picture : plan.canvases[static_cast<std::size_t>(canvas.source)].size;
    const bool shrunk = view.stretched.width > 0 && view.size == canvas.size;
    const image::Size seen = shrunk ? view.stretched : image::place(source, canvas.size, canvas.padding).size;
    if (area(seen) > area(used)) used = seen;
  }
  return used;
}

}  // namespace

int Plan::add_whole(const Canvas& canvas) {
  canvases.push_back(canvas);
  views.push_back({static_cast<int>(canvases.size()) - 1, 0, 0, canvas.size});
  add_input(static_cast<int>(views.size()) - 1);
  return static_cast<int>(views.size()) - 1;
}

int Plan::add_tiles(const Canvas& canvas, int tile) {
  const int first = static_cast<int>(views.size());
  canvases.push_back(canvas);
  for (int y = 0; y + tile <= canvas.size.height; y += tile) {
    for (int x = 0; x + tile <= canvas.size.width; x += tile) {
      views.push_back({static_cast<int>(canvases.size()) - 1, x, y, {tile, tile}});
    }
  }
  return first;
}

void Plan::add_tiles_and_overview(image::Size picture, int tile, std::span<const image::Size> choices) {
  if (picture.width > tile || picture.height > tile) {
    const image::Size canvas = image::best_canvas(picture, choices);
    int view = add_tiles({canvas, image::Filter::bicubic, image::Padding::ceil}, tile);
    while (view < static_cast<int>(views.size())) add_input(view++);
  }
  add_whole({{tile, tile}, image::Filter::bilinear, image::Padding::none});
}

void Plan::add_text(std::string text, std::string otherwise) {
  if (!text.empty()) layout.push_back({std::move(text), -1, std::move(otherwise)});
}

Preprocessed render(const Plan& plan, std::span<const image::Image> frames, const Normalization& how) {
  Preprocessed out;
  out.layout = plan.layout;
  out.inputs.resize(plan.views.size());
  const image::Size source = frames.front().size();
  out.used = used_size(plan, source);
  for (const image::Image& frame : frames) {
    std::vector<image::Image> painted(plan.canvases.size());  // kept while others are made from them
    for (std::size_t i = 0; i < plan.canvases.size(); ++i) {
      const Canvas& canvas = plan.canvases[i];
      painted[i] = paint(canvas, canvas.source < 0 ? frame : painted[static_cast<std::size_t>(canvas.source)]);
      for (std::size_t v = 0; v < plan.views.size(); ++v) {
        const View& view = plan.views[v];
        if (view.canvas == static_cast<int>(i)) out.inputs[v].frames.push_back(take(painted[i], view, how));
      }
      const bool needed = std::any_of(plan.canvases.begin(), plan.canvases.end(),
                                      [&](const Canvas& other) { return other.source == static_cast<int>(i); });
      if (!needed) painted[i] = {};
    }
  }
  out.downscaled = out.used.width < source.width || out.used.height < source.height;
  return out;
}

}  // namespace mtmd::encoders
