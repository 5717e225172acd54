#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.embeddings();  // the scales of the first model
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), m.sizes.n_embd);
    m.attention(i);
    m.norm(m.block(i, "ffn_norm"), m.sizes.n_embd);
    m.feed_forward(i);
  }
}

}  // namespace

extern const TinyCase minicpm_bare{
    "minicpm_bare",
    build,
    "minicpm",
    {},
    {{0,
      {0.0427005887f, -0.483146697f, 1.0467751f, 0.163717389f, -1.90623331f, 0.100169539f, -0.243207917f,
       -0.421612442f}},
     {17,
      {0.593760848f, 2.05840325f, -0.299920589f, 0.439178824f, 0.861913443f, -1.24732482f, -1.33302402f, 0.447396159f}},
     {39,
      {-0.34016639f, -0.187790215f, -0.372608393f, 0.513458908f, 0.800079465f, -0.688179374f, -0.267654389f,
       -0.407132834f}}},
    2e-4f};

}  // namespace mtmd::test::tiny
