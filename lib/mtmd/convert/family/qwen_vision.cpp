// The vision parts of Qwen2-VL, Qwen2.5-VL and Qwen3-VL.
#include <fmt/core.h>

#include "mtmd/convert/family/vision.h"

namespace mtmd::convert {
namespace {

constexpr int kFrames = 2, kCell = 4;  // frames of a kernel, patches of a token

std::string root(const Builder& b) {
  return b.checkpoint.prefix_of({"visual.", "model.visual."}, "patch_embed.proj.weight");
}

/// One kernel over two frames, stored as a kernel for each.
void patches(Builder& b, const VisionShape& n, const std::string& from) {
  const Matrix kernel = b.read(from + "patch_embed.proj.weight", {n.n_embd, 3, kFrames, n.patch, n.patch});
  b.add_kernel("v.patch_embd.weight", time_slice(kernel, 0));
  b.add_kernel("v.patch_embd.weight.1", time_slice(kernel, 1));
  if (b.checkpoint.has(from + "patch_embed.proj.bias"))
    b.copy("v.patch_embd.bias", from + "patch_embed.proj.bias", {n.n_embd});
}

void merge_of_two(const Config& c) {
  if (c.integer_or("spatial_merge_size", 1, 64, 2) != 2) c.reject("spatial_merge_size", "2");
  if (c.integer_or("temporal_patch_size", 1, 64, kFrames) != kFrames) c.reject("temporal_patch_size", "2");
}

std::string block(std::int64_t i) { return fmt::format("v.blk.{}.", i); }
std::string layer(const std::string& from, std::int64_t i) { return fmt::format("{}blocks.{}.", from, i); }

void attention(Builder& b, const VisionShape& n, const std::string& from, std::int64_t i) {
  b.norm(block(i) + "ln1", layer(from, i) + "norm1", n.n_embd);
  b.split_qkv(block(i), layer(from, i) + "attn.qkv", n.n_embd, n.n_embd, n.n_embd);
  b.linear(block(i) + "attn_out", layer(from, i) + "attn.proj", n.n_embd, n.n_embd);
  b.norm(block(i) + "ln2", layer(from, i) + "norm2", n.n_embd);
}

void merger(Builder& b, const VisionShape& n, const Source& s, const std::string& from) {
  b.norm("v.post_ln", from + "merger.ln_q", n.n_embd);
  b.linear("mm.0", from + "merger.mlp.0", kCell * n.n_embd, kCell * n.n_embd);
  b.linear("mm.2", from + "merger.mlp.2", text_width(s), kCell * n.n_embd);
}

}  // namespace

void qwen2vl_vision(Builder& b, const Source& s) {
  merge_of_two(s.vision);
  const VisionShape n = put_vision(b, s.vision, s, "embed_dim", 1e-6);
  put_activation(b, s.vision.text_or("hidden_act", "quick_gelu"));
  const std::string from = root(b);
  patches(b, n, from);
  for (std::int64_t i = 0; i < n.n_layers; ++i) {
    attention(b, n, from, i);
    b.linear(block(i) + "ffn_up", layer(from, i) + "mlp.fc1", n.n_ff, n.n_embd);
    b.linear(block(i) + "ffn_down", layer(from, i) + "mlp.fc2", n.n_embd, n.n_ff);
  }
  merger(b, n, s, from);
}

void qwen25vl_vision(Builder& b, const Source& s) {
  merge_of_two(s.vision);
  const VisionShape n = put_vision(b, s.vision, s, "hidden_size", 1e-6);
  put_activation(b, s.vision.text_or("hidden_act", "silu"));
  // The layers that see the whole picture: every so many, which is how GGUF writes it.
  const auto full = s.vision.integers("fullatt_block_indexes");
  if (!full.empty()) {
    const std::int64_t every = full[0] + 1;
    for (std::size_t i = 0; i < full.size(); ++i)
      if (every < 1 || full[i] != static_cast<std::int64_t>(i + 1) * every - 1)
        s.vision.reject("fullatt_block_indexes", "the last of every so many layers");
    b.put("n_wa_pattern", static_cast<std::uint32_t>(every));
  }
  b.put("window_size", static_cast<std::uint32_t>(s.vision.integer_or("window_size", 1, 1 << 14, 112)));
  const std::string from = root(b);
  patches(b, n, from);
  for (std::int64_t i = 0; i < n.n_layers; ++i) {
    attention(b, n, from, i);
    b.linear(block(i) + "ffn_gate", layer(from, i) + "mlp.gate_proj", n.n_ff, n.n_embd);
    b.linear(block(i) + "ffn_up", layer(from, i) + "mlp.up_proj", n.n_ff, n.n_embd);
    b.linear(block(i) + "ffn_down", layer(from, i) + "mlp.down_proj", n.n_embd, n.n_ff);
  }
  merger(b, n, s, from);
}

void qwen3vl_vision(Builder& b, const Source& s) {
  merge_of_two(s.vision);
  const VisionShape n = put_vision(b, s.vision, s, "hidden_size", 1e-6);
  put_activation(b, s.vision.text_or("hidden_act", "gelu_pytorch_tanh"));
  b.put("spatial_merge_size", std::uint32_t{2});
  const std::string from = root(b);
  patches(b, n, from);
  b.add_exact("v.position_embd.weight",
              b.read(from + "pos_embed.weight", {s.vision.integer("num_position_embeddings", 1, 1 << 20), n.n_embd}));
  for (std::int64_t i = 0; i < n.n_layers; ++i) {
    b.norm(block(i) + "ln1", layer(from, i) + "norm1", n.n_embd);
    b.linear(block(i) + "attn_qkv", layer(from, i) + "attn.qkv", 3 * n.n_embd, n.n_embd);
    b.linear(block(i) + "attn_out", layer(from, i) + "attn.proj", n.n_embd, n.n_embd);
    b.norm(block(i) + "ln2", layer(from, i) + "norm2", n.n_embd);
    b.linear(block(i) + "ffn_up", layer(from, i) + "mlp.linear_fc1", n.n_ff, n.n_embd);
    b.linear(block(i) + "ffn_down", layer(from, i) + "mlp.linear_fc2", n.n_embd, n.n_ff);
  }
  b.norm("v.post_ln", from + "merger.norm", n.n_embd);
  b.linear("mm.0", from + "merger.linear_fc1", kCell * n.n_embd, kCell * n.n_embd);
  b.linear("mm.2", from + "merger.linear_fc2", text_width(s), kCell * n.n_embd);
  const auto deep = s.vision.integers("deepstack_visual_indexes");
  std::vector<bool> is_deep(static_cast<std::size_t>(n.n_layers), false);
  for (std::size_t k = 0; k < deep.size(); ++k) {
    if (deep[k] < 0 || deep[k] >= n.n_layers) s.vision.reject("deepstack_visual_indexes", "numbers of layers");
    is_deep[static_cast<std::size_t>(deep[k])] = true;
    const std::string to = fmt::format("v.deepstack.{}.", deep[k]),
                      at = fmt::format("{}deepstack_merger_list.{}.", from, k);
    b.norm(to + "norm", at + "norm", kCell * n.n_embd);
    b.linear(to + "fc1", at + "linear_fc1", kCell * n.n_embd, kCell * n.n_embd);
    b.linear(to + "fc2", at + "linear_fc2", text_width(s), kCell * n.n_embd);
  }
  b.writer.set("clip.vision.is_deepstack_layers", is_deep);
}

}  // namespace mtmd::convert
