// What the small Qwen3-Next models share.
#pragma once

#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
inline constexpr std::int64_t kTaps = 4, kKeyHeads = 2, kValueHeads = 4, kKeyDim = 8, kValueDim = 8, kExperts = 6,
                              kFf = 32;
inline constexpr std::int64_t kValues = kValueHeads * kValueDim, kChannels = 2 * kKeyHeads * kKeyDim + kValues;

inline void qwen3next_keys(TinyModel& m) {
  const auto n = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  m.set("ssm.conv_kernel", n(kTaps));
  m.set("ssm.inner_size", n(kValues));
  m.set("ssm.state_size", n(kKeyDim));
  m.set("ssm.time_step_rank", n(kValueHeads));
  m.set("ssm.group_count", n(kKeyHeads));
  m.set("full_attention_interval", n(4));
  m.set("rope.dimension_count", n(8));
  m.set("expert_count", n(kExperts));
  m.set("expert_used_count", n(2));
  m.set("expert_feed_forward_length", n(kFf));
  m.set("expert_shared_feed_forward_length", n(kFf));
}

inline void delta_net(TinyModel& m, std::int32_t i, bool by_heads) {
  const std::int64_t d = m.sizes.n_embd;
  if (by_heads) {
    m.matrix(m.block(i, "ssm_in"), kChannels + kValues, d, 1.5f);
  } else {
    m.matrix(m.block(i, "attn_qkv"), kChannels, d, 1.5f);
    m.matrix(m.block(i, "attn_gate"), kValues, d, 1.5f);
  }
  m.matrix(m.block(i, "ssm_ba"), 2 * kValueHeads, d, 1.5f);
  m.tensor(m.block(i, "ssm_conv1d.weight"), {kChannels, kTaps}, 0.6f);
  m.bias(m.block(i, "ssm_dt"), kValueHeads);
  m.tensor(m.block(i, "ssm_a"), {kValueHeads}, 0.1f, -0.3f);
  m.norm(m.block(i, "ssm_norm"), kValueDim);
  m.matrix(m.block(i, "ssm_out"), d, kValues, 1.5f);
}

inline void gated_attention(TinyModel& m, std::int32_t i) {
  const std::int64_t d = m.sizes.n_embd, q = std::int64_t{m.sizes.n_heads} * m.sizes.head_dim,
                     kv = std::int64_t{m.sizes.n_kv_heads} * m.sizes.head_dim;
  m.matrix(m.block(i, "attn_q"), 2 * q, d, 1.5f);
  m.matrix(m.block(i, "attn_k"), kv, d, 1.5f);
  m.matrix(m.block(i, "attn_v"), kv, d);
  m.matrix(m.block(i, "attn_output"), d, q, 1.5f);
  m.norm(m.block(i, "attn_q_norm"), m.sizes.head_dim, 1.5f);
  m.norm(m.block(i, "attn_k_norm"), m.sizes.head_dim, 1.5f);
}

/// by_heads: as older files have it.
inline void qwen3next_layers(TinyModel& m, bool by_heads) {
  const std::int64_t d = m.sizes.n_embd;
  qwen3next_keys(m);
  m.embeddings();
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), d);
    m.norm(m.block(i, "post_attention_norm"), d);
    if ((i + 1) % 4 == 0)
      gated_attention(m, i);
    else
      delta_net(m, i, by_heads);
    m.matrix(m.block(i, "ffn_gate_inp"), kExperts, d, 2.0f);
    m.experts(m.block(i, "ffn_gate_exps"), kExperts, kFf, d, 1.5f);
    m.experts(m.block(i, "ffn_up_exps"), kExperts, kFf, d, 1.5f);
    m.experts(m.block(i, "ffn_down_exps"), kExperts, d, kFf, 1.5f);
    m.tensor(m.block(i, "ffn_gate_inp_shexp.weight"), {d}, 0.2f);
    m.matrix(m.block(i, "ffn_gate_shexp"), kFf, d, 1.5f);
    m.matrix(m.block(i, "ffn_up_shexp"), kFf, d, 1.5f);
    m.matrix(m.block(i, "ffn_down_shexp"), d, kFf, 1.5f);
  }
}

}  // namespace mtmd::test::tiny
