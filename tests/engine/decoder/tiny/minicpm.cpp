#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.set("embedding_scale", 1.5f);
  m.set("residual_scale", 0.7f);
  m.set("logit_scale", 0.8f);
  m.embeddings();
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), m.sizes.n_embd);
    m.attention(i);
    m.norm(m.block(i, "ffn_norm"), m.sizes.n_embd);
    m.feed_forward(i);
  }
}

}  // namespace

extern const TinyCase minicpm{
    "minicpm",
    build,
    "minicpm",
    {},
    {{0, {-0.705350935f, 1.57747316f, 5.18145323f, -2.14966369f, -3.1883688f, 4.00869417f, 0.289695859f, 1.73900437f}},
     {17,
      {1.63685668f, 2.29052496f, -0.994574904f, 5.14100122f, 0.214855373f, -6.82234192f, -4.16191101f, 1.68858945f}},
     {39, {-4.04832268f, -3.05747604f, 2.0509882f, 2.71224546f, 3.7624402f, -1.02623212f, -2.73316097f, -1.89497578f}}},
    2e-4f};

}  // namespace mtmd::test::tiny
