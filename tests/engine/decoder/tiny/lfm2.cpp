#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  const std::int64_t d = m.sizes.n_embd;
  const std::vector<std::int32_t> kv_heads = {0, 0, 2, 0};
  m.set("attention.head_count_kv", kv_heads);
  m.set("shortconv.l_cache", std::uint32_t{3});
  m.tensor("token_embd.weight", {TinyModel::kVocab, d}, 0.4f);
  m.norm("token_embd_norm", d);
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), d);
    if (kv_heads[i] > 0) {
      m.attention(i);
      m.norm(m.block(i, "attn_q_norm"), m.sizes.head_dim, 1.5f);
      m.norm(m.block(i, "attn_k_norm"), m.sizes.head_dim, 1.5f);
    } else {
      m.tensor(m.block(i, "shortconv.conv.weight"), {d, 3}, 0.6f);
      m.matrix(m.block(i, "shortconv.in_proj"), 3 * d, d, 1.5f);
      m.matrix(m.block(i, "shortconv.out_proj"), d, d, 1.5f);
    }
    m.norm(m.block(i, "ffn_norm"), d);
    m.feed_forward(i);
  }
}

}  // namespace

extern const TinyCase lfm2{
    "lfm2",
    build,
    "lfm2",
    {.n_layers = 4},
    {{0,
      {2.10506797f, -2.9116993f, -0.128215075f, -0.601703167f, -0.156719208f, -0.961241007f, -1.19162929f,
       -0.81433481f}},
     {17,
      {2.92878866f, -0.0215623379f, 1.27998233f, -0.442715526f, -4.12613773f, -2.99622774f, 1.45093727f, -6.97501612f}},
     {39,
      {1.72608304f, -2.66698837f, -5.06602764f, 2.14127302f, -5.11908197f, 2.81079793f, -1.38239646f, -5.8750844f}}}};

}  // namespace mtmd::test::tiny
