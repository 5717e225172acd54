// Janus-Pro (arXiv:2501.17811): SigLIP on a fixed square, one token per patch.
#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

constexpr image::Color kGrey = {127, 127, 127};

class JanusPro final : public VisionProjector {
 public:
  JanusPro(const gguf::File& file, Device& device) : VisionProjector("janus_pro", file, device) {
    const std::int64_t d = hparams_.n_embd;
    side_ = hparams_.image_size / hparams_.patch_size;
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    positions_ = weights_.values("v.position_embd.weight", {std::int64_t{side_} * side_, d});
    vit_ = Vit(weights_, device, vit_spec());
    mlp_ = TwoLayer(weights_, "mm.0", "mm.1", d, hparams_.activation);
    text_width_ = mlp_.out();
    canvases_ = read_canvases();
  }

 protected:
  Plan plan(image::Size size, const ImageLimits&) const override {
    Plan plan;
    if (canvases_.empty()) {
      const image::Size square{hparams_.image_size, hparams_.image_size};
      plan.add_whole({square, image::Filter::bilinear, image::Padding::ceil, kGrey});
    } else {
      plan.add_tiles_and_overview(size, hparams_.image_size, canvases_);
    }
    return plan;
  }

  Grid grid(image::Size) const override { return {side_, side_}; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Tensor x = embed_in_order(patches_, inputs, {}, positions_, ws);
    const std::vector<KeyRange> ranges =
        own_picture(static_cast<std::int64_t>(inputs.size()), std::int64_t{side_} * side_);
    vit_.run(ws, x, {ranges});
    mlp_.run(device_, ws, y, x);
  }

 private:
  int side_ = 0;  ///< patches per side
  PatchEmbedding patches_;
  Vector positions_;  // [side * side, n_embd]
  Vit vit_;
  TwoLayer mlp_;
  std::vector<image::Size> canvases_;
};

}  // namespace

extern const ProjectorType projector_janus_pro = {
    "janus_pro", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<JanusPro>(file, device);
    }};

}  // namespace mtmd::encoders
