#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.set("logit_scale", 0.8f);
  m.embeddings(true);
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), m.sizes.n_embd);
    m.attention(i);
    m.tensor(m.block(i, "attn_q_norm.weight"), {m.sizes.n_heads, m.sizes.head_dim}, 0.2f, 1.0f);
    m.tensor(m.block(i, "attn_k_norm.weight"), {m.sizes.n_kv_heads, m.sizes.head_dim}, 0.2f, 1.0f);
    m.feed_forward(i);
  }
}

}  // namespace

extern const TinyCase command_r_plus{
    "command_r_plus",
    build,
    "command-r",
    {.n_layers = 64, .n_ff = 32},
    {{0,
      {1.65849197f, -2.28417993f, 2.73985672f, -1.47029006f, 0.818570077f, 0.301939219f, -0.546107292f, -1.58297503f}},
     {17, {1.68270612f, -1.82546234f, 0.50068146f, -2.0227201f, 4.41976261f, 0.3055875f, 0.225599751f, 0.156183153f}},
     {39,
      {-1.43051636f, -2.62806439f, 0.266696364f, -0.563574314f, -1.52678549f, 0.242630482f, -0.684617758f,
       0.0139329908f}}},
    2e-4f,
    "attention.layer_norm_epsilon"};

}  // namespace mtmd::test::tiny
