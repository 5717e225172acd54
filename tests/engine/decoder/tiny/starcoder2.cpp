#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.embeddings();
  m.bias("output_norm", m.sizes.n_embd);
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), m.sizes.n_embd), m.bias(m.block(i, "attn_norm"), m.sizes.n_embd);
    m.attention(i, true, true);
    m.norm(m.block(i, "ffn_norm"), m.sizes.n_embd), m.bias(m.block(i, "ffn_norm"), m.sizes.n_embd);
    m.matrix(m.block(i, "ffn_up"), m.sizes.n_ff, m.sizes.n_embd, 1.5f), m.bias(m.block(i, "ffn_up"), m.sizes.n_ff);
    m.matrix(m.block(i, "ffn_down"), m.sizes.n_embd, m.sizes.n_ff, 1.5f),
        m.bias(m.block(i, "ffn_down"), m.sizes.n_embd);
  }
}

}  // namespace

extern const TinyCase starcoder2{
    "starcoder2",
    build,
    "starcoder2",
    {},
    {{0, {-1.34572577f, 3.67387962f, 0.970223546f, 4.12588787f, -3.58412981f, 2.54025936f, -3.40139842f, 0.126894951f}},
     {17,
      {-1.32360029f, 5.88805437f, 2.81037021f, 0.992919207f, 0.141290903f, -0.222501159f, -5.26109266f, -1.33791351f}},
     {39, {2.0322156f, 2.32200193f, -1.38158858f, 2.56987715f, -0.237614393f, 0.949268222f, -2.1398797f, 1.08924067f}}},
    2e-2f,
    "attention.layer_norm_epsilon"};

}  // namespace mtmd::test::tiny
