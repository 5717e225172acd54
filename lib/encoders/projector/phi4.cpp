// Phi-4 with vision (Microsoft): SigLIP 2 on pictures of any shape (arXiv:2502.14786), one token per patch.
#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/positions.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

class Phi4 final : public VisionProjector {
 public:
  Phi4(const gguf::File& file, Device& device) : VisionProjector("phi4", file, device) {
    const std::int64_t d = hparams_.n_embd;
    pixels_ = read_pixel_range();
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    positions_ = PositionTable(weights_, d, TableResize::antialias);
    vit_ = Vit(weights_, device, vit_spec());
    mlp_ = TwoLayer(weights_, "mm.0", "mm.2", d, Activation::gelu_tanh);
    text_width_ = mlp_.out();
  }

 protected:
  bool follows_limits() const noexcept override { return true; }

  Plan plan(image::Size size, const ImageLimits& limits) const override {
    Plan plan;
    plan.add_whole(dynamic_canvas(size, hparams_.patch_size, pixels_, limits, image::Filter::bilinear));
    return plan;
  }

  Grid grid(image::Size input) const override { return patch_grid(input); }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Grid g{inputs.front()->nx, inputs.front()->ny};
    const Tensor x = embed_in_order(patches_, inputs, {}, positions_.resized(g.columns, g.rows), ws);
    const std::vector<KeyRange> ranges =
        own_picture(static_cast<std::int64_t>(inputs.size()), std::int64_t{g.columns} * g.rows);
    vit_.run(ws, x, {ranges});
    mlp_.run(device_, ws, y, x);
  }

 private:
  PixelRange pixels_;
  PatchEmbedding patches_;
  PositionTable positions_;
  Vit vit_;
  TwoLayer mlp_;
};

}  // namespace

extern const ProjectorType projector_phi4 = {"phi4",
                                             [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
                                               return std::make_unique<Phi4>(file, device);
                                             }};

}  // namespace mtmd::encoders
