#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.set("attention.sliding_window", std::uint32_t{9});
  m.set("rope.scaling.type", "yarn");
  m.set("rope.scaling.factor", 8.0f);
  m.set("rope.scaling.original_context_length", std::uint32_t{16});
  m.embeddings();
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.attention(i);
    m.norm(m.block(i, "attn_q_norm"), m.sizes.n_heads * m.sizes.head_dim);
    m.norm(m.block(i, "attn_k_norm"), m.sizes.n_kv_heads * m.sizes.head_dim);
    m.norm(m.block(i, "post_attention_norm"), m.sizes.n_embd);
    m.feed_forward(i);
    m.norm(m.block(i, "post_ffw_norm"), m.sizes.n_embd);
  }
}

}  // namespace

extern const TinyCase olmo3{
    "olmo3",
    build,
    "olmo2",
    {.n_layers = 4},
    {{0,
      {-0.940897226f, 2.51203918f, 0.747223616f, 2.07794762f, -4.7292695f, 0.200634956f, -0.857153773f, 1.30984318f}},
     {17,
      {1.00828671f, 6.32456446f, 2.66837382f, -0.0668195486f, 1.01208997f, -2.46931505f, -6.24110031f, 2.73009825f}},
     {39,
      {-1.06513309f, -2.63204885f, 0.800929427f, 1.41455245f, 4.27635622f, -3.94825792f, -0.951363444f, 1.83078814f}}},
    2e-4f};

}  // namespace mtmd::test::tiny
