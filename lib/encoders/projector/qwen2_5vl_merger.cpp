// Qwen2.5-VL (arXiv:2502.13923): as Qwen2-VL, with attention inside windows in most layers.
#include <fmt/core.h>

#include <algorithm>

#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/positions.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

constexpr int kMerge = 2;

/// The cells of a grid (2 x 2 patches each), window by window.
struct Windows {
  std::vector<std::int32_t> cells;    ///< raster indices of cells, in the encoder's order
  std::vector<std::int32_t> patches;  ///< raster indices of patches, four per cell
  std::vector<KeyRange> ranges;       ///< per patch, the patches of its window
  std::vector<std::int32_t> inverse;  ///< where in `cells` each cell is
};

Windows make_windows(Grid cells, int side) {
  Windows w;
  for (int top = 0; top < cells.rows; top += side) {
    for (int left = 0; left < cells.columns; left += side) {
      const int bottom = std::min(top + side, cells.rows), right = std::min(left + side, cells.columns);
      const auto begin = static_cast<std::int32_t>(w.patches.size());
      for (int y = top; y < bottom; ++y) {
        for (int x = left; x < right; ++x) {
          w.cells.push_back(y * cells.columns + x);
          for (int i = 0; i < kMerge * kMerge; ++i) {
            w.patches.push_back((kMerge * y + i / kMerge) * kMerge * cells.columns + kMerge * x + i % kMerge);
          }
        }
      }
      const auto end = static_cast<std::int32_t>(w.patches.size());
      w.ranges.insert(w.ranges.end(), static_cast<std::size_t>(end - begin), {begin, end});
    }
  }
  w.inverse.resize(w.cells.size());
  for (std::size_t i = 0; i < w.cells.size(); ++i)
    w.inverse[static_cast<std::size_t>(w.cells[i])] = static_cast<std::int32_t>(i);
  return w;
}

class Qwen25Vl final : public VisionProjector {
 public:
  Qwen25Vl(const gguf::File& file, Device& device) : VisionProjector("qwen2.5vl_merger", file, device) {
    if (hparams_.n_embd / hparams_.n_heads % 4 != 0) bad_model("the size of heads is no multiple of 4");
    full_every_ = in_range_or(metadata_, "clip.vision.n_wa_pattern", 0, 1024, 0);
    const int window = in_range_or(metadata_, "clip.vision.window_size", 1, 1 << 14, 112);
    window_cells_ = std::max(1, window / hparams_.patch_size / kMerge);
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size, 2);
    VitSpec spec = vit_spec();
    spec.swapped_ffn = true, spec.norm = Norm::rms, spec.gated = true;
    vit_ = Vit(weights_, device, spec);
    merger_ =
        TwoLayer(weights_, "mm.0", "mm.2", std::int64_t{kMerge * kMerge} * hparams_.n_embd, Activation::gelu_tanh);
    text_width_ = merger_.out();
  }

  PositionKind positions() const noexcept override { return PositionKind::grid; }
  bool merges_frames() const noexcept override { return true; }

 protected:
  bool follows_limits() const noexcept override { return true; }

  Plan plan(image::Size size, const ImageLimits& limits) const override {
    Plan plan;
    plan.add_text("<|vision_start|>");
    plan.add_whole(
        dynamic_canvas(size, hparams_.patch_size * kMerge, token_range(limits, {8, 4096}), image::Filter::bilinear));
    plan.add_text("<|vision_end|>");
    return plan;
  }

  Grid grid(image::Size input) const override {
    const int align = hparams_.patch_size * kMerge;
    return {input.width / align, input.height / align};
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const Windows windows = make_windows({inputs.front()->nx, inputs.front()->ny}, window_cells_);
    const auto n = static_cast<std::int64_t>(windows.patches.size()), n_cells = n / (kMerge * kMerge);
    const Tensor x = embed_in_order(patches_, inputs, windows.patches, {}, ws);
    const RopeTable rope = vision_rope_table(hparams_.n_embd / hparams_.n_heads, 10000.0f,
                                             grid_positions(windows.patches, inputs.front()->nx * kMerge, n_inputs));
    const std::vector<KeyRange> full = own_picture(n_inputs, n);
    std::vector<KeyRange> own_window;
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const auto shift = static_cast<std::int32_t>(i * n);
      for (const KeyRange& range : windows.ranges) own_window.push_back({range.begin + shift, range.end + shift});
    }
    Vit::Pass pass{full, own_window};
    pass.windowed = [this](int layer) { return full_every_ > 0 && (layer + 1) % full_every_ != 0; };
    pass.rope = &rope;
    vit_.run(ws, x, pass);
    const Tensor rows = ws.tensor(y.rows, y.cols);
    merger_.run(device_, ws, rows, x.reshaped(y.rows, x.cols * kMerge * kMerge));
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      gather(device_, y.rows_at(i * n_cells, n_cells), rows.rows_at(i * n_cells, n_cells), windows.inverse);
    }
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt = "Read all the text in the image.";
    presets.describe_prompt = "Describe this image.";
    return presets;
  }

 private:
  int full_every_ = 0;    ///< every so many layers see the whole picture; 0: all do
  int window_cells_ = 1;  ///< cells per side of a window
  PatchEmbedding patches_;
  Vit vit_;
  TwoLayer merger_;
};

}  // namespace

extern const ProjectorType projector_qwen2_5vl_merger = {
    "qwen2.5vl_merger", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Qwen25Vl>(file, device);
    }};

}  // namespace mtmd::encoders
