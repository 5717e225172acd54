#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.set("rope.dimension_sections", std::vector<std::int32_t>{2, 2, 2, 2});
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

extern const TinyCase hunyuan_vl{
    "hunyuan_vl",
    build,
    "hunyuan_vl",
    {},
    {{0, {-0.404822588f, 3.1010623f, 3.18744278f, -2.77550411f, 2.16020823f, 2.0268054f, -0.0467602015f, -4.08458138f}},
     {17,
      {-6.1115675f, -3.95157766f, -0.0402654409f, 1.07797384f, 0.777792931f, -3.06757569f, -1.40389168f,
       -0.096057415f}},
     {39,
      {-4.50486565f, 2.11843729f, 1.40530062f, -1.99131727f, 2.54411077f, -0.361742854f, -0.993049383f,
       -0.876902938f}}},
    2e-4f};

}  // namespace mtmd::test::tiny
