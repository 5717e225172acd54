#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

constexpr std::int64_t kExperts = 16, kFf = 32, kShared = kFf;

void build(TinyModel& m) {
  const std::int64_t d = m.sizes.n_embd;
  m.set("expert_count", static_cast<std::uint32_t>(kExperts));
  m.set("expert_used_count", std::uint32_t{1});
  m.set("expert_feed_forward_length", static_cast<std::uint32_t>(kFf));
  m.set("interleave_moe_layer_step", std::uint32_t{2});
  m.embeddings();
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), d);
    m.attention(i);
    m.norm(m.block(i, "ffn_norm"), d);
    if (i % 2 == 0) {
      m.feed_forward(i);
      continue;
    }
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

extern const TinyCase llama4{
    "llama4",
    build,
    "llama4",
    {.n_layers = 5},
    {{0,
      {1.50412798f, -1.44121778f, -1.1647042f, 4.53039837f, -0.620060921f, 0.896582425f, -0.291363657f, 0.860640764f}},
     {17,
      {-1.50386941f, 0.843930244f, 1.13207912f, 2.68155384f, -3.84449005f, -3.71188879f, -3.11990285f, -0.117432654f}},
     {39,
      {-6.04917192f, 2.31828785f, -1.66404748f, -4.96647644f, -0.713722944f, -4.6204052f, -6.10990953f, 0.74634409f}}},
    2e-4f};

}  // namespace mtmd::test::tiny
