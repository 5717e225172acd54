#include "encoders/projector/kimi_picture.h"

namespace mtmd::encoders {

KimiPicture::KimiPicture(std::string_view type, const gguf::File& file, Device& device, Markers markers,
                         TableResize resize)
    : WholePicture(type, file, device, std::move(markers)) {
  require_rotatable_heads();
  read_merge("clip.vision.projector.scale_factor");
  patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
  table_ = PositionTable(weights_, hparams_.n_embd, resize);
  vit_ = Vit(weights_, device, vit_spec());
  bridge_ = JoinedPatches(weights_, hparams_.n_embd, merge_, 1e-5f, "mm.1", "mm.2", Activation::gelu_tanh);
  text_width_ = bridge_.out();
}

void KimiPicture::embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const {
  const Patches p = block_patches(inputs);
  const Tensor x = embed_in_order(patches_, inputs, p.order, table_.resized(p.patches.columns, p.patches.rows), ws);
  const RopeTable rope = rope_2d(head_dim(), {.rows_first = false}, p.positions);
  Vit::Pass pass;
  pass.rope = &rope, pass.pairs = RopePairs::adjacent;
  run_vit(ws, x, p, pass);
  bridge_.run(device_, ws, y, x);
}

}  // namespace mtmd::encoders
