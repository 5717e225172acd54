// PaddleOCR-VL (arXiv:2510.14528): NaViT-style encoder with learned and rotary positions, 2 x 2 patches per token.
#include <fmt/core.h>

#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/positions.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

constexpr int kMerge = 2;

class PaddleOcr final : public VisionProjector {
 public:
  PaddleOcr(const gguf::File& file, Device& device) : VisionProjector("paddleocr", file, device) {
    const std::int64_t d = hparams_.n_embd;
    if (d / hparams_.n_heads % 4 != 0) bad_model("the size of heads is no multiple of 4");
    pixels_ = read_pixel_range();
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    positions_ = PositionTable(weights_, d, TableResize::antialias);
    vit_ = Vit(weights_, device, vit_spec());
    norm_ = weights_.vector("mm.input_norm.weight", d), norm_bias_ = weights_.vector_if("mm.input_norm.bias", d);
    merger_ = TwoLayer(weights_, "mm.1", "mm.2", d * kMerge * kMerge, hparams_.activation);
    text_width_ = merger_.out();
  }

  PositionKind positions() const noexcept override { return PositionKind::grid; }

 protected:
  bool follows_limits() const noexcept override { return true; }

  Plan plan(image::Size size, const ImageLimits& limits) const override {
    Plan plan;
    plan.add_text("<|IMAGE_START|>");
    plan.add_whole(dynamic_canvas(size, hparams_.patch_size * kMerge, pixels_, limits, image::Filter::bilinear));
    plan.add_text("<|IMAGE_END|>");
    return plan;
  }

  Grid grid(image::Size input) const override {
    const int align = hparams_.patch_size * kMerge;
    return {input.width / align, input.height / align};
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const Grid g{inputs.front()->nx * kMerge, inputs.front()->ny * kMerge};
    const std::int64_t n = std::int64_t{g.columns} * g.rows;
    const Tensor x = embed_in_order(patches_, inputs, {}, positions_.resized(g.columns, g.rows), ws);
    const RopeTable rope = vision_rope_table(hparams_.n_embd / hparams_.n_heads, 10000.0f,
                                             grid_positions(block_order(g.columns, g.rows, 1), g.columns, n_inputs));
    const std::vector<KeyRange> ranges = own_picture(n_inputs, n);
    Vit::Pass pass{ranges};
    pass.rope = &rope;
    vit_.run(ws, x, pass);
    device_.layer_norm(x, x, norm_, norm_bias_, 1e-5f);
    const std::int64_t n_tokens = y.rows / n_inputs;
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Workspace::Scope scope(ws);
      const Tensor merged = merge_cells(device_, ws, x.rows_at(i * n, n), g.columns, g.rows, kMerge);
      merger_.run(device_, ws, y.rows_at(i * n_tokens, n_tokens), merged);
    }
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt = "OCR:";
    presets.describe_prompt = "Describe this image in detail.";
    return presets;
  }

 private:
  PixelRange pixels_;
  PatchEmbedding patches_;
  PositionTable positions_;
  Vit vit_;
  Vector norm_, norm_bias_;  // [n_embd]
  TwoLayer merger_;
};

}  // namespace

extern const ProjectorType projector_paddleocr = {
    "paddleocr", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<PaddleOcr>(file, device);
    }};

}  // namespace mtmd::encoders
