#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.embeddings();
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), m.sizes.n_embd);
    m.attention(i);
    m.norm(m.block(i, "ffn_norm"), m.sizes.n_embd);
    m.feed_forward(i);
  }
}

}  // namespace

extern const TinyCase internlm2{
    "internlm2",
    build,
    "internlm2",
    {},
    {{0, {1.277318f, 4.19452429f, 4.30409908f, -1.58713889f, -1.53308105f, -0.308665037f, -3.21016049f, 2.81917381f}},
     {17,
      {-2.6076107f, 0.496317089f, -0.418005764f, 2.93657732f, -4.08237839f, -4.55079794f, -3.48295593f, -3.07177162f}},
     {39,
      {-3.66899037f, -3.61441326f, -0.160292089f, 2.42868018f, 4.04144335f, 2.27498627f, 0.167769432f, -2.00729966f}}},
    2e-4f};

}  // namespace mtmd::test::tiny
