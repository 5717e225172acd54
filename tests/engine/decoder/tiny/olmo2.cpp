#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
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

extern const TinyCase olmo2{
    "olmo2",
    build,
    "olmo2",
    {},
    {{0,
      {-0.470319748f, 3.71770597f, 0.325119853f, 1.44818115f, -3.43332195f, 0.485263824f, -1.07521176f, 1.59691441f}},
     {17,
      {-3.72374916f, 8.1162405f, 3.10473704f, -0.429626644f, -0.953226089f, -2.07009554f, -5.74022484f, 2.80726242f}},
     {39,
      {-2.82974005f, 3.97093964f, 0.829401255f, 2.57197547f, 1.47545385f, -3.07274103f, -2.56314039f, 3.16809511f}}},
    2e-4f};

}  // namespace mtmd::test::tiny
