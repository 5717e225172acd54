#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.set("rope.dimension_count", std::uint32_t{4});
  m.set("use_parallel_residual", true);
  m.embeddings();
  m.bias("output_norm", m.sizes.n_embd);
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), m.sizes.n_embd), m.bias(m.block(i, "attn_norm"), m.sizes.n_embd);
    m.attention(i);
    m.tensor(m.block(i, "attn_q_norm.weight"), {m.sizes.n_heads, m.sizes.head_dim}, 0.2f, 1.0f);
    m.tensor(m.block(i, "attn_k_norm.weight"), {m.sizes.n_kv_heads, m.sizes.head_dim}, 0.2f, 1.0f);
    m.feed_forward(i);
  }
}

}  // namespace

extern const TinyCase stablelm_parallel{
    "stablelm_parallel",
    build,
    "stablelm",
    {},
    {{0, {-0.890440822f, 6.8231144f, 2.72297502f, -1.30330181f, -3.32847524f, 4.09991837f, 1.42053485f, 1.05669832f}},
     {17,
      {-2.27073193f, 1.60374844f, 2.25714731f, -0.852653325f, -3.02590227f, -1.06206512f, -6.17956018f, 1.0165813f}},
     {39, {0.684985042f, 2.09880424f, 2.4309268f, -0.410969853f, 1.8734659f, 0.655465126f, -1.55187106f, 3.74481058f}}},
    2e-4f,
    "attention.layer_norm_epsilon"};

}  // namespace mtmd::test::tiny
