// Nemotron Nano V2 VL (arXiv:2511.03929): C-RADIO on a fixed square, registers in front of the patches, s x s patches
// per token.
#include <fmt/core.h>

#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

constexpr int kMostRegisters = 256;
constexpr float kEps = 1e-6f;  ///< of the norm before the perceptron

class NemotronV2Vl final : public VisionProjector {
 public:
  NemotronV2Vl(const gguf::File& file, Device& device) : VisionProjector("nemotron_v2_vl", file, device) {
    const std::int64_t d = hparams_.n_embd;
    side_ = hparams_.image_size / hparams_.patch_size;
    merge_ = require_in(metadata_, "clip.vision.projector.scale_factor", 2, side_);
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    const std::int64_t n = std::int64_t{side_} * side_;
    positions_ = Table(device, weights_.values("v.position_embd.weight", {n, d}), n, d);
    const std::int64_t n_registers = matrix_rows(weights_, "v.class_embd");
    if (n_registers < 1 || n_registers > kMostRegisters) {
      bad_model(fmt::format("v.class_embd has {} rows, expected 1 to {}", n_registers, kMostRegisters));
    }
    registers_ = Table(device, weights_.values("v.class_embd", {n_registers, d}), n_registers, d);
    vit_ = Vit(weights_, device, vit_spec());
    const std::int64_t merged = d * merge_ * merge_;
    norm_ = weights_.vector("mm.model.mlp.0.weight", merged);
    mlp_ = TwoLayer(weights_, "mm.model.mlp.1", "mm.model.mlp.3", merged, Activation::relu_squared);
    text_width_ = mlp_.out();
  }

 protected:
  Plan plan(image::Size, const ImageLimits&) const override {
    Plan plan;
    plan.add_whole({{hparams_.image_size, hparams_.image_size}, image::Filter::bicubic, image::Padding::ceil});
    return plan;
  }

  Grid grid(image::Size) const override {
    const int cells = (side_ + merge_ - 1) / merge_;
    return {cells, cells};
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const std::int64_t n_registers = registers_.tensor().rows, n = positions_.tensor().rows, rows = n_registers + n;
    const Tensor x = ws.tensor(n_inputs * rows, hparams_.n_embd);
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Tensor own = x.rows_at(i * rows, rows), patches = own.rows_at(n_registers, n);
      device_.copy(own.rows_at(0, n_registers), registers_.tensor());
      embed_patches(patches, patches_, inputs.subspan(static_cast<std::size_t>(i), 1), ws);
      device_.add(patches, patches, positions_.tensor());
    }
    const std::vector<KeyRange> ranges = own_picture(n_inputs, rows);
    vit_.run(ws, x, {ranges});
    const std::int64_t n_tokens = y.rows / n_inputs;
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Workspace::Scope scope(ws);
      const Tensor merged = merge_cells(device_, ws, x.rows_at(i * rows + n_registers, n), side_, side_, merge_);
      device_.rms_norm(merged, merged, norm_, kEps);
      mlp_.run(device_, ws, y.rows_at(i * n_tokens, n_tokens), merged);
    }
  }

 private:
  int side_ = 0, merge_ = 2;  ///< patches per side; patches per side of a token
  PatchEmbedding patches_;
  Table positions_, registers_;  // [side * side, n_embd], [registers, n_embd]
  Vit vit_;
  Vector norm_;  // [merge * merge * n_embd]
  TwoLayer mlp_;
};

}  // namespace

extern const ProjectorType projector_nemotron_v2_vl = {
    "nemotron_v2_vl", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<NemotronV2Vl>(file, device);
    }};

}  // namespace mtmd::encoders
