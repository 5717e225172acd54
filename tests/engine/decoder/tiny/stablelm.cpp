#include "engine/decoder/tiny_model.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  m.set("rope.dimension_count", std::uint32_t{4});
  m.set("use_parallel_residual", false);
  m.embeddings();
  m.bias("output_norm", m.sizes.n_embd);
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    m.norm(m.block(i, "attn_norm"), m.sizes.n_embd), m.bias(m.block(i, "attn_norm"), m.sizes.n_embd);
    m.attention(i, true);
    m.norm(m.block(i, "ffn_norm"), m.sizes.n_embd), m.bias(m.block(i, "ffn_norm"), m.sizes.n_embd);
    m.feed_forward(i);
  }
}

}  // namespace

extern const TinyCase stablelm{
    "stablelm",
    build,
    "stablelm",
    {},
    {{0,
      {4.17686749f, 3.35278893f, 2.32524991f, -0.584872961f, -0.743665576f, 1.79874659f, -6.18734264f, 0.629964232f}},
     {17,
      {-1.67167616f, 4.83269596f, 1.27116632f, -3.17513609f, -1.62016177f, -6.28181887f, -3.45907927f, -2.91278625f}},
     {39,
      {-2.22171021f, 3.41367364f, -0.00798523426f, -2.75710964f, 1.13448167f, -4.02231503f, 0.058523953f,
       1.89703774f}}},
    2e-4f,
    "attention.layer_norm_epsilon"};

}  // namespace mtmd::test::tiny
