// What the small DeepSeek models share.
#pragma once

#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {

struct Deepseek {
  std::int64_t rank = 24, nope = 16, rotated = 8, value = 12, q_rank = 0, n_dense = 1;
  bool split = false;  ///< k_b and v_b, heads of the compressed size
};

inline void deepseek_mixture_keys(TinyModel& m, std::int64_t n_dense) {
  m.set("leading_dense_block_count", static_cast<std::uint32_t>(n_dense));
  m.set("expert_feed_forward_length", std::uint32_t{32});
  m.set("expert_count", std::uint32_t{6});
  m.set("expert_used_count", std::uint32_t{2});
  m.set("expert_shared_count", std::uint32_t{2});
}

inline void deepseek2_keys(TinyModel& m, const Deepseek& s) {
  const auto n = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  m.set("attention.kv_lora_rank", n(s.rank));
  if (s.q_rank > 0) m.set("attention.q_lora_rank", n(s.q_rank));
  m.set("rope.dimension_count", n(s.rotated));
  m.set("attention.key_length", n(s.split ? s.rank + s.rotated : s.nope + s.rotated));
  m.set("attention.value_length", n(s.split ? s.rank : s.value));
  if (s.split) {
    m.set("attention.head_count_kv", n(1));
    m.set("attention.key_length_mla", n(s.nope + s.rotated));
    m.set("attention.value_length_mla", n(s.value));
  }
  deepseek_mixture_keys(m, s.n_dense);
}

inline void deepseek2_attention(TinyModel& m, const Deepseek& s, std::int32_t i) {
  const std::int64_t d = m.sizes.n_embd, heads = m.sizes.n_heads, q = heads * (s.nope + s.rotated);
  if (s.q_rank > 0) {
    m.matrix(m.block(i, "attn_q_a"), s.q_rank, d, 1.5f);
    m.norm(m.block(i, "attn_q_a_norm"), s.q_rank);
    m.matrix(m.block(i, "attn_q_b"), q, s.q_rank, 1.5f);
  } else {
    m.matrix(m.block(i, "attn_q"), q, d, 1.5f);
  }
  m.matrix(m.block(i, "attn_kv_a_mqa"), s.rank + s.rotated, d, 1.5f);
  m.norm(m.block(i, "attn_kv_a_norm"), s.rank);
  if (s.split) {
    m.experts(m.block(i, "attn_k_b"), heads, s.rank, s.nope, 0.8f);
    m.experts(m.block(i, "attn_v_b"), heads, s.value, s.rank);
  } else {
    m.matrix(m.block(i, "attn_kv_b"), heads * (s.nope + s.value), s.rank);
  }
  m.matrix(m.block(i, "attn_output"), d, heads * s.value, 1.5f);
}

/// attention(i) describes the attention of layer i.
template <class F>
void deepseek_layers(TinyModel& m, std::int64_t n_dense, F attention, bool selection_bias) {
  const std::int64_t d = m.sizes.n_embd, ff = 32, n = 6;
  m.embeddings();
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), d);
    attention(i);
    m.norm(m.block(i, "ffn_norm"), d);
    if (i < n_dense) {
      m.feed_forward(i);
      continue;
    }
    m.matrix(m.block(i, "ffn_gate_inp"), n, d, 2.0f);
    if (selection_bias) m.tensor(m.block(i, "exp_probs_b.bias"), {n}, 0.2f);
    m.experts(m.block(i, "ffn_gate_exps"), n, ff, d, 1.5f);
    m.experts(m.block(i, "ffn_up_exps"), n, ff, d, 1.5f);
    m.experts(m.block(i, "ffn_down_exps"), n, d, ff, 1.5f);
    m.matrix(m.block(i, "ffn_gate_shexp"), 2 * ff, d, 1.5f);
    m.matrix(m.block(i, "ffn_up_shexp"), 2 * ff, d, 1.5f);
    m.matrix(m.block(i, "ffn_down_shexp"), d, 2 * ff, 1.5f);
  }
}

inline void deepseek2_layers(TinyModel& m, const Deepseek& s, bool selection_bias) {
  deepseek_layers(
      m, s.n_dense, [&](std::int32_t i) { deepseek2_attention(m, s, i); }, selection_bias);
}

}  // namespace mtmd::test::tiny
