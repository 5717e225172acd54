// InternVL (arXiv:2404.16821): InternViT on square tiles and an overview, s x s patches per token.
#include <algorithm>

#include "encoders/image/sizing.h"
#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

class InternVl final : public VisionProjector {
 public:
  InternVl(const gguf::File& file, Device& device) : VisionProjector("internvl", file, device) {
    const std::int64_t d = hparams_.n_embd;
    side_ = hparams_.image_size / hparams_.patch_size;
    merge_ = require_in(metadata_, "clip.vision.projector.scale_factor", 1, side_);
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    const std::int64_t rows = std::int64_t{side_} * side_ + 1;
    positions_ = Table(device, weights_.values("v.position_embd.weight", {rows, d}), rows, d);
    class_token_ = weights_.vector("v.class_embd", d);
    vit_ = Vit(weights_, device, vit_spec());
    const std::int64_t merged = d * merge_ * merge_;
    norm_ = weights_.vector("mm.model.mlp.0.weight", merged),
    norm_bias_ = weights_.vector_if("mm.model.mlp.0.bias", merged);
    mlp_ = TwoLayer(weights_, "mm.model.mlp.1", "mm.model.mlp.3", merged, Activation::gelu_tanh);
    text_width_ = mlp_.out();
    const int least = in_range_or(metadata_, "clip.vision.preproc_min_tiles", 1, 64, 1);
    const int most = in_range_or(metadata_, "clip.vision.preproc_max_tiles", least, 64, std::max(least, 12));
    canvases_ = image::tile_grids(least, most, hparams_.image_size);
  }

 protected:
  Plan plan(image::Size size, const ImageLimits&) const override {
    Plan plan;
    plan.add_text("<img>");
    plan.add_tiles_and_overview(size, hparams_.image_size, canvases_);
    plan.add_text("</img>");
    return plan;
  }

  Grid grid(image::Size) const override {
    const int cells = (side_ + merge_ - 1) / merge_;
    return {cells, cells};
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const std::int64_t n = std::int64_t{side_} * side_, rows = n + 1, n_tokens = y.rows / n_inputs;
    const Tensor x = embed_with_class(patches_, class_token_, positions_, inputs, ws);
    const std::vector<KeyRange> ranges = own_picture(n_inputs, rows);
    vit_.run(ws, x, {ranges});
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Workspace::Scope scope(ws);
      const Tensor merged = merge_cells(device_, ws, x.rows_at(i * rows, n), side_, side_, merge_);
      device_.layer_norm(merged, merged, norm_, norm_bias_, 1e-5f);
      mlp_.run(device_, ws, y.rows_at(i * n_tokens, n_tokens), merged);
    }
  }

 private:
  int side_ = 0, merge_ = 1;  ///< patches per side; patches per side of a token
  PatchEmbedding patches_;
  Table positions_;     // [side * side + 1, n_embd]
  Vector class_token_;  // [n_embd]
  Vit vit_;
  Vector norm_, norm_bias_;  // [merge * merge * n_embd]
  TwoLayer mlp_;
  std::vector<image::Size> canvases_;
};

}  // namespace

extern const ProjectorType projector_internvl = {
    "internvl", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<InternVl>(file, device);
    }};

}  // namespace mtmd::encoders
