#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.set("attention.sliding_window", std::uint32_t{9});
  m.set("attn_logit_softcapping", 2.0f);
  m.set("final_logit_softcapping", 5.0f);
  m.embeddings(true);
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), m.sizes.n_embd);
    m.attention(i);
    m.norm(m.block(i, "post_attention_norm"), m.sizes.n_embd);
    m.norm(m.block(i, "ffn_norm"), m.sizes.n_embd);
    m.feed_forward(i);
    m.norm(m.block(i, "post_ffw_norm"), m.sizes.n_embd);
  }
}

}  // namespace

extern const TinyCase gemma2{
    "gemma2",
    build,
    "gemma2",
    {},
    {{0,
      {1.07687771f, -1.68170452f, 0.942484856f, -1.74954951f, -1.86298263f, -0.569841802f, -4.02828789f, 1.94046378f}},
     {17, {3.14920163f, 2.21501374f, 1.98002911f, -4.10807085f, 0.515021145f, 3.02804732f, 1.68795991f, -1.59522104f}},
     {39,
      {-0.621157169f, 1.32509089f, 2.81238413f, -0.74181354f, 0.469937444f, 0.980737925f, -3.36403966f, 1.33606005f}}},
    2e-2f};

}  // namespace mtmd::test::tiny
