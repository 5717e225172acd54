#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

constexpr std::int64_t kExperts = 5, kFf = 32, kShared = 48;

void build(TinyModel& m) {
  const std::int64_t d = m.sizes.n_embd;
  m.set("expert_count", static_cast<std::uint32_t>(kExperts));
  m.set("expert_used_count", std::uint32_t{2});
  m.set("expert_feed_forward_length", static_cast<std::uint32_t>(kFf));
  m.set("expert_shared_feed_forward_length", static_cast<std::uint32_t>(kShared));
  m.embeddings();
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), d);
    m.attention(i);
    m.norm(m.block(i, "attn_q_norm"), m.sizes.head_dim);
    m.norm(m.block(i, "attn_k_norm"), m.sizes.head_dim);
    m.norm(m.block(i, "ffn_norm"), d);
    m.matrix(m.block(i, "ffn_gate_inp"), kExperts, d, 2.0f);
    m.experts(m.block(i, "ffn_gate_exps"), kExperts, kFf, d, 1.5f);
    m.experts(m.block(i, "ffn_up_exps"), kExperts, kFf, d, 1.5f);
    m.experts(m.block(i, "ffn_down_exps"), kExperts, d, kFf, 1.5f);
    m.matrix(m.block(i, "ffn_gate_shexp"), kShared, d, 1.5f);
    m.matrix(m.block(i, "ffn_up_shexp"), kShared, d, 1.5f);
    m.matrix(m.block(i, "ffn_down_shexp"), d, kShared, 1.5f);
  }
}

}  // namespace

extern const TinyCase hunyuan_moe{
    "hunyuan_moe",
    build,
    "hunyuan-moe",
    {.n_ff = kFf},
    {{0, {-0.909636736f, 3.38543463f, 0.932372212f, 6.25460958f, -2.47399855f, 2.85317779f, -1.593907f, -5.18438816f}},
     {17,
      {4.16935015f, -2.84514952f, -5.41704416f, -0.430682302f, -1.63786352f, 3.90489006f, -3.35245728f, -1.1725533f}},
     {39,
      {0.136965752f, 1.58535719f, 0.0123950243f, 1.84246075f, 1.60695338f, -0.553571701f, 4.71866512f, -7.13762093f}}},
    2e-4f};

}  // namespace mtmd::test::tiny
