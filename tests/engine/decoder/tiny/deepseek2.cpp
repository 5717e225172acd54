// DeepSeek-V2-Lite's form, which the reference knows by its 27 layers: queries not compressed, one matrix for keys and
// values, softmax over the experts, weights not normalised.
#include "engine/decoder/tiny/deepseek2_parts.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  const Deepseek s;
  deepseek2_keys(m, s);
  m.set("expert_weights_scale", 1.5f);
  deepseek2_layers(m, s, false);
}

}  // namespace

extern const TinyCase deepseek2{
    "deepseek2",
    build,
    "deepseek2",
    {.n_embd = 32, .n_layers = 27, .n_kv_heads = 4, .n_ff = 40},
    {{0, {4.36938429f, 1.03394246f, -1.46196294f, 1.08218443f, -0.375607491f, -3.1888938f, 4.85567713f, -3.08493042f}},
     {17, {4.3039155f, -4.08432627f, 3.05269289f, 3.02441859f, -2.74607301f, -2.90973854f, 1.96607733f, 1.02246702f}},
     {39, {2.40760589f, -2.6837306f, 1.57747102f, -1.5749526f, 1.30195487f, -1.64774466f, 3.08198953f, -3.34735632f}}}};

}  // namespace mtmd::test::tiny
