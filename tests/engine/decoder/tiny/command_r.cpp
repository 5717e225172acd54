#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.set("logit_scale", 0.8f);
  m.embeddings(true);
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), m.sizes.n_embd);
    m.attention(i);
    m.feed_forward(i);
  }
}

}  // namespace

extern const TinyCase command_r{
    "command_r",
    build,
    "command-r",
    {},
    {{0, {1.4139322f, 1.19476426f, -0.625312626f, -2.31984949f, 2.64615631f, 2.3882556f, 0.65573597f, 0.632718086f}},
     {17,
      {-0.741393745f, -1.11951196f, -3.65791702f, 0.00929660816f, 0.767473876f, 3.1187551f, 3.95931697f, 0.707534015f}},
     {39,
      {0.173073485f, 0.0661092773f, -2.45057154f, 3.4355092f, 2.42477155f, -1.23544669f, 2.55751657f, 1.96896589f}}},
    2e-4f,
    "attention.layer_norm_epsilon"};

}  // namespace mtmd::test::tiny
