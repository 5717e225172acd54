// Qwen2-VL (arXiv:2409.12191): pictures of any size and shape, 2-D rotary positions, 2 x 2 patches per token.
#include <fmt/core.h>

#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"

namespace mtmd::encoders {
namespace {

constexpr int kMerge = 2;
constexpr float kRopeBase = 10000.0f;

class Qwen2Vl final : public VisionProjector {
 public:
  Qwen2Vl(const gguf::File& file, Device& device) : VisionProjector("qwen2vl_merger", file, device) {
    const std::int64_t d = hparams_.n_embd, merged = d * kMerge * kMerge;
    if (d / hparams_.n_heads % 4 != 0) {
      bad_model(fmt::format("heads of {} values cannot be rotated in two dimensions (no multiple of 4)",
                            d / hparams_.n_heads));
    }
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size, 2);
    VitSpec spec = vit_spec();
    spec.swapped_ffn = true;
    vit_ = Vit(weights_, device, spec);
    fc1_ = weights_.matrix("mm.0.weight", merged, merged), fc1_bias_ = weights_.vector_if("mm.0.bias", merged);
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.2.weight"));
    fc2_ = weights_.matrix("mm.2.weight", text_width_, merged),
    fc2_bias_ = weights_.vector_if("mm.2.bias", text_width_);
  }

  PositionKind positions() const noexcept override { return PositionKind::grid; }
  bool merges_frames() const noexcept override { return true; }

 protected:
  bool follows_limits() const noexcept override { return true; }

  Plan plan(image::Size size, const ImageLimits& limits) const override {
    const int align = hparams_.patch_size * kMerge;
    Plan plan;
    plan.add_text("<|vision_start|>");
    plan.add_whole(dynamic_canvas(size, align, token_range(limits, {8, 4096}), image::Filter::bilinear));
    plan.add_text("<|vision_end|>");
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
    const std::vector<std::int32_t> order = block_order(g.columns, g.rows, kMerge);
    const Tensor x = ws.tensor(n_inputs * n, hparams_.n_embd);
    {
      const Workspace::Scope scope(ws);
      const Tensor raster = ws.tensor(n_inputs * n, hparams_.n_embd);
      embed_patches(raster, patches_, inputs, ws);
      for (std::int64_t i = 0; i < n_inputs; ++i) gather(device_, x.rows_at(i * n, n), raster.rows_at(i * n, n), order);
    }
    std::vector<Position> positions;
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      for (const std::int32_t at : order) positions.push_back({0, at / g.columns, at % g.columns, 0});
    }
    const RopeTable rope = vision_rope_table(hparams_.n_embd / hparams_.n_heads, kRopeBase, positions);
    const std::vector<KeyRange> ranges = own_picture(n_inputs, n);
    Vit::Pass pass{ranges};
    pass.rope = &rope;
    vit_.run(ws, x, pass);
    const Tensor merged = x.reshaped(y.rows, x.cols * kMerge * kMerge), hidden = ws.tensor(y.rows, merged.cols);
    device_.matmul(hidden, fc1_, merged, {.bias = fc1_bias_, .activation = Activation::gelu_tanh});
    device_.matmul(y, fc2_, hidden, {.bias = fc2_bias_});
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt = "Read all the text in the image.";
    presets.describe_prompt = "Describe this image.";
    return presets;
  }

 private:
  PatchEmbedding patches_;
  Vit vit_;
  Weight fc1_, fc2_;  // [4 n_embd, 4 n_embd], [text_width, 4 n_embd]
  Vector fc1_bias_, fc2_bias_;
};

}  // namespace

extern const ProjectorType projector_qwen2vl_merger = {
    "qwen2vl_merger", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Qwen2Vl>(file, device);
    }};

}  // namespace mtmd::encoders
