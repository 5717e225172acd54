// LLaVA 1.5 and 1.6 (arXiv:2310.03744): CLIP's last but one layer through a two-layer perceptron; 1.6 adds tiles on one
// of several canvases ("any resolution").
#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"

namespace mtmd::encoders {
namespace {

constexpr image::Color kMeanColor = {122, 116, 104};

class Mlp final : public VisionProjector {
 public:
  Mlp(const gguf::File& file, Device& device) : VisionProjector("mlp", file, device) {
    const std::int64_t d = hparams_.n_embd;
    side_ = hparams_.image_size / hparams_.patch_size;
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    const std::int64_t rows = std::int64_t{side_} * side_ + 1;
    positions_ = Table(device, weights_.values("v.position_embd.weight", {rows, d}), rows, d);
    class_token_ = weights_.vector("v.class_embd", d);
    VitSpec spec = vit_spec();
    spec.swapped_ffn = true;
    spec.n_skipped = 1;
    vit_ = Vit(weights_, device, spec);
    const std::int64_t hidden = matrix_rows(weights_, "mm.0.weight");
    fc1_ = weights_.matrix("mm.0.weight", hidden, d), fc1_bias_ = weights_.vector_if("mm.0.bias", hidden);
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.2.weight"));
    fc2_ = weights_.matrix("mm.2.weight", text_width_, hidden),
    fc2_bias_ = weights_.vector_if("mm.2.bias", text_width_);
    canvases_ = read_canvases();
  }

 protected:
  Plan plan(image::Size size, const ImageLimits&) const override {
    const image::Size square{hparams_.image_size, hparams_.image_size};
    Plan plan;
    if (canvases_.empty()) {
      plan.add_whole({square, image::Filter::bicubic, image::Padding::ceil, kMeanColor});
      return plan;
    }
    plan.add_tiles_and_overview(size, square.width, canvases_);
    return plan;
  }

  Grid grid(image::Size) const override { return {side_, side_}; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const std::int64_t n = std::int64_t{side_} * side_, rows = n + 1;
    const Tensor x = embed_with_class(patches_, class_token_, positions_, inputs, ws);
    const std::vector<KeyRange> ranges = own_picture(n_inputs, rows);
    vit_.run(ws, x, {ranges});
    const Tensor hidden = ws.tensor(n, fc1_.rows);
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      // Patch 0 is left out and the class token comes last: the models' training saw the class token first.
      const Tensor kept = x.rows_at(i * rows + 1, n);
      device_.matmul(hidden, fc1_, kept, {.bias = fc1_bias_, .activation = Activation::gelu_tanh});
      device_.matmul(y.rows_at(i * n, n), fc2_, hidden, {.bias = fc2_bias_});
    }
  }

 private:
  int side_ = 0;  ///< patches per side
  PatchEmbedding patches_;
  Table positions_;     // [side * side + 1, n_embd]
  Vector class_token_;  // [n_embd]
  Vit vit_;
  Weight fc1_, fc2_;  // [hidden, n_embd], [text_width, hidden]
  Vector fc1_bias_, fc2_bias_;
  std::vector<image::Size> canvases_;
};

}  // namespace

extern const ProjectorType projector_mlp = {"mlp",
                                            [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
                                              return std::make_unique<Mlp>(file, device);
                                            }};

}  // namespace mtmd::encoders
