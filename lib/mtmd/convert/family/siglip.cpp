// Vision parts built on CLIP and SigLIP as the transformers library names them.
#include <fmt/core.h>

#include "mtmd/convert/family/vision.h"

namespace mtmd::convert {
namespace {

constexpr std::int64_t kMost = 1 << 20;

/// One tower of CLIP or SigLIP: embeddings and blocks.
void tower(Builder& b, const VisionShape& n, const std::string& from, std::int64_t n_positions) {
  b.add_kernel("v.patch_embd.weight",
               b.read(from + "embeddings.patch_embedding.weight", {n.n_embd, 3, n.patch, n.patch}));
  if (b.checkpoint.has(from + "embeddings.patch_embedding.bias"))
    b.copy("v.patch_embd.bias", from + "embeddings.patch_embedding.bias", {n.n_embd});
  b.add_exact("v.position_embd.weight", b.read(from + "embeddings.position_embedding.weight", {n_positions, n.n_embd}));
  for (std::int64_t i = 0; i < n.n_layers; ++i) {
    const std::string to = fmt::format("v.blk.{}.", i), at = fmt::format("{}encoder.layers.{}.", from, i);
    b.norm(to + "ln1", at + "layer_norm1", n.n_embd);
    b.linear(to + "attn_q", at + "self_attn.q_proj", n.n_embd, n.n_embd);
    b.linear(to + "attn_k", at + "self_attn.k_proj", n.n_embd, n.n_embd);
    b.linear(to + "attn_v", at + "self_attn.v_proj", n.n_embd, n.n_embd);
    b.linear(to + "attn_out", at + "self_attn.out_proj", n.n_embd, n.n_embd);
    b.norm(to + "ln2", at + "layer_norm2", n.n_embd);
    b.linear(to + "ffn_up", at + "mlp.fc1", n.n_ff, n.n_embd);
    b.linear(to + "ffn_down", at + "mlp.fc2", n.n_embd, n.n_ff);
  }
}

/// A pooling head that the language models do not look at, position ids, layers that are not run.
void leave_out(Builder& b, const std::string& from) {
  for (const std::string& name : b.checkpoint.unused())
    if (name.starts_with(from)) b.checkpoint.find(name);
}

}  // namespace

void llava_vision(Builder& b, const Source& s) {
  const VisionShape n = put_vision(b, s.vision, s, "hidden_size", 1e-5);
  put_activation(b, s.vision.text_or("hidden_act", "quick_gelu"));
  if (const std::int64_t layer = s.config.integer_or("vision_feature_layer", -64, 64, -2); layer != -2)
    s.config.reject("vision_feature_layer", "-2 (the last layer but one)");
  const std::string from = b.checkpoint.prefix_of({"vision_tower.vision_model.", "model.vision_tower.vision_model."},
                                                  "embeddings.class_embedding");
  b.add_exact("v.class_embd", b.read(from + "embeddings.class_embedding", {n.n_embd}));
  b.norm("v.pre_ln", from + "pre_layrnorm", n.n_embd);  // sic
  tower(b, n, from, n.side() * n.side() + 1);
  leave_out(b, from);
  const std::string mm =
      b.checkpoint.prefix_of({"multi_modal_projector.", "model.multi_modal_projector."}, "linear_1.weight");
  b.linear("mm.0", mm + "linear_1", text_width(s), n.n_embd);
  b.linear("mm.2", mm + "linear_2", text_width(s), text_width(s));
}

void idefics3_vision(Builder& b, const Source& s) {
  const VisionShape n = put_vision(b, s.vision, s, "hidden_size", 1e-6);
  put_activation(b, s.vision.text_or("hidden_act", "gelu_pytorch_tanh"));
  const std::int64_t scale = s.config.integer("scale_factor", 1, 64);
  b.put("projector.scale_factor", static_cast<std::uint32_t>(scale));
  const Config longest = s.preprocessor.object_or_empty("size");
  if (longest.has("longest_edge"))
    b.put("preproc_image_size", static_cast<std::uint32_t>(longest.integer("longest_edge", 1, 1 << 16)));
  const std::string from = b.checkpoint.prefix_of({"model.vision_model.", "vision_model."}, "post_layernorm.weight");
  tower(b, n, from, n.side() * n.side());
  b.norm("v.post_ln", from + "post_layernorm", n.n_embd);
  const std::string mm = b.checkpoint.prefix_of({"model.connector.", "connector."}, "modality_projection.proj.weight");
  b.copy("mm.model.fc.weight", mm + "modality_projection.proj.weight", {text_width(s), n.n_embd * scale * scale});
}

void gemma3_vision(Builder& b, const Source& s) {
  const VisionShape n = put_vision(b, s.vision, s, "hidden_size", 1e-6);
  put_activation(b, s.vision.text_or("hidden_act", "gelu_pytorch_tanh"));
  const std::int64_t tokens = s.config.integer_or("mm_tokens_per_image", 1, kMost, 256);
  std::int64_t scale = 1;
  while (scale < n.side() && (n.side() / scale) * (n.side() / scale) > tokens) ++scale;
  if (n.side() % scale != 0 || (n.side() / scale) * (n.side() / scale) != tokens)
    s.config.reject("mm_tokens_per_image", fmt::format("the square of a divisor of the {} patches a side", n.side()));
  b.put("projector.scale_factor", static_cast<std::uint32_t>(scale));
  const std::string from = b.checkpoint.prefix_of({"vision_tower.vision_model.", "model.vision_tower.vision_model."},
                                                  "post_layernorm.weight");
  tower(b, n, from, n.side() * n.side());
  b.norm("v.post_ln", from + "post_layernorm", n.n_embd);
  leave_out(b, from);
  const std::string mm =
      b.checkpoint.prefix_of({"multi_modal_projector.", "model.multi_modal_projector."}, "mm_soft_emb_norm.weight");
  b.add("mm.soft_emb_norm.weight", plus_one(b.read(mm + "mm_soft_emb_norm.weight", {n.n_embd})));
  b.copy("mm.input_projection.weight", mm + "mm_input_projection_weight", {n.n_embd, text_width(s)});
}

}  // namespace mtmd::convert
