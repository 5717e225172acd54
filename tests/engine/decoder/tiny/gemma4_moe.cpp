// The large form: experts beside the dense block; full layers take their keys for values.
#include "engine/decoder/tiny/gemma4_parts.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  constexpr std::int64_t kExperts = 6, kFf = 32;
  const std::int64_t d = m.sizes.n_embd;
  gemma4_keys(m, 0, 0);
  m.set("expert_count", static_cast<std::uint32_t>(kExperts));
  m.set("expert_used_count", std::uint32_t{2});
  m.set("expert_feed_forward_length", static_cast<std::uint32_t>(kFf));
  gemma4_head(m);
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    gemma4_attention(m, i, true, true);
    m.norm(m.block(i, "ffn_norm"), d);
    m.feed_forward(i);
    m.norm(m.block(i, "post_ffw_norm"), d, 1.5f);
    m.matrix(m.block(i, "ffn_gate_inp"), kExperts, d, 16.0f);
    m.tensor(m.block(i, "ffn_gate_inp.scale"), {d}, 0.2f, 1.0f);
    for (const char* tensor : {"pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"}) m.norm(m.block(i, tensor), d);
    m.experts(m.block(i, "ffn_gate_up_exps"), kExperts, 2 * kFf, d, 1.5f);
    m.experts(m.block(i, "ffn_down_exps"), kExperts, d, kFf, 1.5f);
    m.tensor(m.block(i, "ffn_down_exps.scale"), {kExperts}, 0.2f, 1.0f);
    m.tensor(m.block(i, "layer_output_scale.weight"), {1}, 0.1f, 0.9f);
  }
}

}  // namespace

extern const TinyCase gemma4_moe{
    "gemma4_moe",
    build,
    "gemma4",
    {},
    {{0, {1.11305332f, 5.42385006f, 2.09956503f, -0.808533609f, -6.7937603f, 2.90625668f, -4.05814552f, -2.68249083f}},
     {17,
      {-1.62682629f, -0.661486506f, -0.406378955f, 3.20920539f, -3.48884463f, 1.37219226f, -0.970002234f,
       -11.6269321f}},
     {39,
      {-1.80756187f, 4.90230846f, -0.561016977f, -3.53080034f, 1.95306039f, 2.50479889f, -1.15175021f, 4.4854784f}}},
    0.1f};

}  // namespace mtmd::test::tiny
