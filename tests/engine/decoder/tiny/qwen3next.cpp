#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

constexpr std::int64_t kTaps = 4, kKeyHeads = 2, kValueHeads = 4, kKeyDim = 8, kValueDim = 8, kExperts = 6, kFf = 32;
constexpr std::int64_t kValues = kValueHeads * kValueDim, kChannels = 2 * kKeyHeads * kKeyDim + kValues;

void keys(TinyModel& m) {
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

void delta_net(TinyModel& m, std::int32_t i) {
  const std::int64_t d = m.sizes.n_embd;
  m.matrix(m.block(i, "attn_qkv"), kChannels, d, 1.5f);
  m.matrix(m.block(i, "attn_gate"), kValues, d, 1.5f);
  m.matrix(m.block(i, "ssm_ba"), 2 * kValueHeads, d, 1.5f);
  m.tensor(m.block(i, "ssm_conv1d.weight"), {kChannels, kTaps}, 0.6f);
  m.bias(m.block(i, "ssm_dt"), kValueHeads);
  m.tensor(m.block(i, "ssm_a"), {kValueHeads}, 0.1f, -0.3f);
  m.norm(m.block(i, "ssm_norm"), kValueDim);
  m.matrix(m.block(i, "ssm_out"), d, kValues, 1.5f);
}

void gated_attention(TinyModel& m, std::int32_t i) {
  const std::int64_t d = m.sizes.n_embd, q = std::int64_t{m.sizes.n_heads} * m.sizes.head_dim,
                     kv = std::int64_t{m.sizes.n_kv_heads} * m.sizes.head_dim;
  m.matrix(m.block(i, "attn_q"), 2 * q, d, 1.5f);
  m.matrix(m.block(i, "attn_k"), kv, d, 1.5f);
  m.matrix(m.block(i, "attn_v"), kv, d);
  m.matrix(m.block(i, "attn_output"), d, q, 1.5f);
  m.norm(m.block(i, "attn_q_norm"), m.sizes.head_dim, 1.5f);
  m.norm(m.block(i, "attn_k_norm"), m.sizes.head_dim, 1.5f);
}

void build(TinyModel& m) {
  const std::int64_t d = m.sizes.n_embd;
  keys(m);
  m.embeddings();
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), d);
    m.norm(m.block(i, "post_attention_norm"), d);
    if ((i + 1) % 4 == 0)
      gated_attention(m, i);
    else
      delta_net(m, i);
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

}  // namespace

extern const TinyCase qwen3next{
    "qwen3next",
    build,
    "qwen3next",
    {.n_layers = 5},
    {{0,
      {-1.01053333f, 2.17573309f, 0.754307747f, -0.0426795483f, 0.181033731f, -1.50174916f, 4.80367899f, 0.850137353f}},
     {17,
      {-1.57229733f, 4.79418421f, 1.68129492f, 0.961789548f, 6.72155237f, -1.72770381f, -2.50094867f, -1.45315051f}},
     {39,
      {-0.385231555f, 1.19261253f, -3.28139639f, 1.90600944f, -2.18488908f, -5.70613241f, 0.736253977f,
       -0.860278845f}}}};

}  // namespace mtmd::test::tiny
