// Pixtral (arXiv:2410.07073): pictures of any size, two-dimensional rotary positions, a break after each row of tokens.
#include <fmt/core.h>

#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/positions.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

class Pixtral final : public VisionProjector {
 public:
  Pixtral(const gguf::File& file, Device& device) : VisionProjector("pixtral", file, device) {
    const std::int64_t d = hparams_.n_embd;
    if (d / hparams_.n_heads % 4 != 0) bad_model("the size of heads is no multiple of 4");
    merge_ = in_range_or(metadata_, "clip.vision.spatial_merge_size", 1, 16, 1);
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    VitSpec spec = vit_spec();
    spec.norm = Norm::rms, spec.gated = true;
    vit_ = Vit(weights_, device, spec);
    if (weights_.has("mm.patch_merger.weight")) {
      input_norm_ = weights_.vector("mm.input_norm.weight", d);
      merger_ = weights_.matrix("mm.patch_merger.weight", d, d * merge_ * merge_);
    } else if (merge_ > 1) {
      bad_model("clip.vision.spatial_merge_size exceeds 1, but there is no tensor 'mm.patch_merger.weight'");
    }
    mlp_ = TwoLayer(weights_, "mm.1", "mm.2", d, Activation::gelu_tanh);
    text_width_ = mlp_.out();
    row_break_ = weights_.vector_if("v.token_embd.img_break", text_width_);
  }

 protected:
  bool follows_limits() const noexcept override { return true; }

  Plan plan(image::Size size, const ImageLimits& limits) const override {
    Plan plan;
    plan.add_whole(
        dynamic_canvas(size, hparams_.patch_size * merge_, token_range(limits, {8, 1024}), image::Filter::bilinear));
    plan.add_text("[IMG_END]");
    return plan;
  }

  Grid grid(image::Size input) const override {
    const int align = hparams_.patch_size * merge_;
    return {input.width / align, input.height / align};
  }

  /// The break row between rows of tokens.
  int extra_tokens(Grid g) const override { return row_break_.empty() ? 0 : g.rows - 1; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const Grid cells{inputs.front()->nx, inputs.front()->ny}, g{cells.columns * merge_, cells.rows * merge_};
    const std::int64_t n = std::int64_t{g.columns} * g.rows, n_cells = std::int64_t{cells.columns} * cells.rows;
    const Tensor x = embed_in_order(patches_, inputs, {}, {}, ws);
    const RopeTable rope = rope_2d(hparams_.n_embd / hparams_.n_heads, {.rows_first = true, .offset = true},
                                   grid_positions(block_order(g.columns, g.rows, 1), g.columns, n_inputs));
    const std::vector<KeyRange> ranges = own_picture(n_inputs, n);
    Vit::Pass pass{ranges};
    pass.rope = &rope, pass.pairs = RopePairs::adjacent;
    vit_.run(ws, x, pass);
    const std::int64_t n_tokens = y.rows / n_inputs;
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Workspace::Scope scope(ws);
      const Tensor merged = merge(ws, x.rows_at(i * n, n), g, n_cells), rows = ws.tensor(n_cells, y.cols);
      mlp_.run(device_, ws, rows, merged);
      place_rows(y.rows_at(i * n_tokens, n_tokens), rows, cells);
    }
  }

 private:
  Tensor merge(Workspace& ws, Tensor x, Grid g, std::int64_t n_cells) const {
    if (!merger_) return x;
    const Tensor unfolded = ws.tensor(n_cells, x.cols * merge_ * merge_), merged = ws.tensor(n_cells, x.cols);
    device_.rms_norm(x, x, input_norm_, hparams_.eps);
    const auto channels = static_cast<std::int32_t>(x.cols);
    device_.unfold(unfolded, x, {g.rows, g.columns, channels, merge_, merge_, merge_, merge_, 0, 0}, false);
    device_.matmul(merged, merger_, unfolded);
    return merged;
  }

  /// Rows of the grid with a break between them.
  void place_rows(Tensor y, Tensor rows, Grid cells) const {
    const std::int64_t step = cells.columns + (row_break_.empty() ? 0 : 1);
    const std::int32_t first = 0;
    const Weight row_break{DType::F32, reinterpret_cast<const std::byte*>(row_break_.data()), 1, y.cols};
    for (int r = 0; r < cells.rows; ++r) {
      device_.copy(y.rows_at(r * step, cells.columns), rows.rows_at(std::int64_t{r} * cells.columns, cells.columns));
      if (!row_break_.empty() && r + 1 < cells.rows) {
        device_.get_rows(y.rows_at(r * step + cells.columns, 1), row_break, {&first, 1});
      }
    }
  }

  int merge_ = 1;  ///< patches per side of a token
  PatchEmbedding patches_;
  Vit vit_;
  Vector input_norm_;  // [n_embd]
  Weight merger_;      // [n_embd, n_embd * merge * merge], optional
  TwoLayer mlp_;
  Vector row_break_;  // [text_width], optional
};

}  // namespace

extern const ProjectorType projector_pixtral = {
    "pixtral", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Pixtral>(file, device);
    }};

}  // namespace mtmd::encoders
