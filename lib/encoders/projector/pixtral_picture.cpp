#include "encoders/projector/pixtral_picture.h"

#include "encoders/trunk/positions.h"

namespace mtmd::encoders {

PixtralPicture::PixtralPicture(std::string_view type, const gguf::File& file, Device& device, Markers markers)
    : WholePicture(type, file, device, std::move(markers)) {
  require_rotatable_heads();
  const std::int64_t d = hparams_.n_embd;
  read_merge("clip.vision.spatial_merge_size", 1);
  patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
  VitSpec spec = vit_spec();
  spec.norm = Norm::rms, spec.gated = true;
  vit_ = Vit(weights_, device, spec);
  if (weights_.has("mm.patch_merger.weight")) {
    input_norm_ = weights_.vector("mm.input_norm.weight", d);
    merger_ = weights_.matrix("mm.patch_merger.weight", d, cell_width());
  } else if (merge_ > 1) {
    bad_model("clip.vision.spatial_merge_size exceeds 1, but there is no tensor 'mm.patch_merger.weight'");
  }
  mlp_ = TwoLayer(weights_, "mm.1", "mm.2", d, Activation::gelu_tanh);
  text_width_ = mlp_.out();
}

void PixtralPicture::embed_cells(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const {
  const Patches p = block_patches(inputs);
  const Tensor x = embed_in_order(patches_, inputs, p.order, {}, ws);
  const RopeTable rope = rope_2d(head_dim(), {.rows_first = true, .offset = true}, p.positions);
  Vit::Pass pass;
  pass.rope = &rope, pass.pairs = RopePairs::adjacent;
  run_vit(ws, x, p, pass);
  mlp_.run(device_, ws, y, merged(ws, x));
}

Tensor PixtralPicture::merged(Workspace& ws, Tensor x) const {
  if (!merger_) return x;
  const std::int64_t n_cells = x.rows / (merge_ * merge_);
  const Tensor unfolded = ws.tensor(n_cells, cell_width()), y = ws.tensor(n_cells, x.cols);
  device_.rms_norm(x, x, input_norm_, hparams_.eps);
  // Features are ordered channel, row, column; cells in block order are a picture that is one cell wide.
  const auto rows = static_cast<std::int32_t>(n_cells * merge_), channels = static_cast<std::int32_t>(x.cols);
  device_.unfold(unfolded, x, {rows, merge_, channels, merge_, merge_, merge_, merge_, 0, 0}, false);
  device_.matmul(y, merger_, unfolded);
  return y;
}

}  // namespace mtmd::encoders
