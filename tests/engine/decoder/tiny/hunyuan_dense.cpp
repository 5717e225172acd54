#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.embeddings(true);
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), m.sizes.n_embd);
    m.attention(i);
    m.norm(m.block(i, "attn_q_norm"), m.sizes.head_dim);
    m.norm(m.block(i, "attn_k_norm"), m.sizes.head_dim);
    m.norm(m.block(i, "ffn_norm"), m.sizes.n_embd);
    m.feed_forward(i);
  }
}

}  // namespace

extern const TinyCase hunyuan_dense{
    "hunyuan_dense",
    build,
    "hunyuan-dense",
    {},
    {{0, {-0.404822588f, 3.1010623f, 3.18744278f, -2.77550411f, 2.16020823f, 2.0268054f, -0.0467602015f, -4.08458138f}},
     {17,
      {-6.10166502f, -3.9548521f, -0.038771987f, 1.09616733f, 0.782125473f, -3.08472443f, -1.38483691f,
       -0.0970005989f}},
     {39,
      {-4.51197004f, 2.14831877f, 1.41864312f, -2.03445482f, 2.57472205f, -0.363161981f, -1.02587247f, -0.878782988f}}},
    2e-4f};

}  // namespace mtmd::test::tiny
