// What the small Gemma 4 models share.
#pragma once

#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {

constexpr std::int32_t kWindowHead = 8;  ///< head size of the layers with a window

inline void gemma4_keys(TinyModel& m, std::int32_t n_shared, std::int32_t per_layer) {
  std::vector<bool> slides;
  std::vector<std::int32_t> kv_heads;
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    slides.push_back(i % 2 == 0);
    kv_heads.push_back(i % 2 == 0 ? 2 : 1);
  }
  m.set("attention.head_count_kv", kv_heads);
  m.set("rope.freq_base", 1e6f);
  m.set("rope.freq_base_swa", 10000.0f);
  m.set("rope.dimension_count_swa", static_cast<std::uint32_t>(kWindowHead));
  m.set("attention.key_length_swa", static_cast<std::uint32_t>(kWindowHead));
  m.set("attention.value_length_swa", static_cast<std::uint32_t>(kWindowHead));
  m.set("attention.sliding_window", std::uint32_t{7});
  m.set("attention.sliding_window_pattern", slides);
  m.set("attention.shared_kv_layers", static_cast<std::uint32_t>(n_shared));
  m.set("embedding_length_per_layer_input", static_cast<std::uint32_t>(per_layer));
  m.set("final_logit_softcapping", 30.0f);
}

/// Norms and attention of layer i. keys_are_values: no attn_v in full layers.
inline void gemma4_attention(TinyModel& m, std::int32_t i, bool has_keys, bool keys_are_values) {
  const std::int64_t d = m.sizes.n_embd, size = i % 2 == 0 ? kWindowHead : m.sizes.head_dim, n_kv = i % 2 == 0 ? 2 : 1;
  m.norm(m.block(i, "attn_norm"), d);
  m.matrix(m.block(i, "attn_q"), m.sizes.n_heads * size, d);
  m.norm(m.block(i, "attn_q_norm"), size, 0.7f);
  m.matrix(m.block(i, "attn_output"), d, m.sizes.n_heads * size);
  m.norm(m.block(i, "post_attention_norm"), d, 1.5f);
  if (!has_keys) return;
  m.matrix(m.block(i, "attn_k"), n_kv * size, d);
  m.norm(m.block(i, "attn_k_norm"), size, 0.7f);
  if (!keys_are_values || i % 2 == 0) m.matrix(m.block(i, "attn_v"), n_kv * size, d);
}

inline void gemma4_head(TinyModel& m) {
  const std::int64_t d = m.sizes.n_embd;
  m.tensor("token_embd.weight", {TinyModel::kVocab, d}, 0.1f);
  m.norm("output_norm", d, 4.0f);
  m.tensor("rope_freqs.weight", {m.sizes.head_dim / 2}, 0.2f, 1.0f);
}

}  // namespace mtmd::test::tiny
