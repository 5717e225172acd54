#include "encoders/projector/plan.h"

#include <cstdint>
#include <utility>

#include "encoders/image/sizing.h"

namespace mtmd::encoders {

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

void Plan::add_text(std::string text) {
  if (!text.empty()) layout.push_back({std::move(text), -1});
}

Preprocessed render(const Plan& plan, std::span<const image::Image> frames, const Normalization& how) {
  Preprocessed out;
  out.layout = plan.layout;
  out.inputs.resize(plan.views.size());
  const image::Size source = frames.front().size();
  const auto area = [](image::Size s) { return static_cast<std::int64_t>(s.width) * s.height; };
  for (std::size_t i = 0; i < plan.canvases.size(); ++i) {
    const Canvas& canvas = plan.canvases[i];
    if (const image::Size used = image::place(source, canvas.size, canvas.padding).size; area(used) > area(out.used)) {
      out.used = used;
    }
    for (const image::Image& frame : frames) {
      const image::Image scaled = image::fit(frame, canvas.size, canvas.filter, canvas.padding, canvas.color);
      for (std::size_t v = 0; v < plan.views.size(); ++v) {
        const View& view = plan.views[v];
        if (view.canvas != static_cast<int>(i)) continue;
        const bool whole = view.size == canvas.size;
        out.inputs[v].frames.push_back(
            image::normalize(whole ? scaled : image::crop(scaled, view.x, view.y, view.size), how.mean, how.std));
      }
    }
  }
  out.downscaled = out.used.width < source.width || out.used.height < source.height;
  return out;
}

}  // namespace mtmd::encoders
