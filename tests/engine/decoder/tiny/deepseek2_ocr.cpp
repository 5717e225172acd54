#include "engine/decoder/tiny/deepseek2_parts.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  deepseek_mixture_keys(m, 1);
  m.set("expert_weights_scale", 1.5f);
  deepseek_layers(
      m, 1, [&](std::int32_t i) { m.attention(i); }, false);
}

}  // namespace

extern const TinyCase deepseek2_ocr{
    "deepseek2_ocr",
    build,
    "deepseek2-ocr",
    {.n_kv_heads = 4},
    {{0, {-1.42266345f, 1.4202013f, 1.10741842f, -3.55036592f, -0.907366395f, -3.4901557f, -2.37469387f, 5.3013792f}},
     {17,
      {-0.391336203f, 3.69249344f, -3.48790836f, 0.0191395879f, 0.741412282f, -5.81958008f, -2.72843981f,
       -3.27959561f}},
     {39,
      {0.303984582f, -0.748198092f, 0.102924824f, -2.22108674f, 0.742162704f, -3.14938307f, -1.08129108f,
       0.530570984f}}}};

}  // namespace mtmd::test::tiny
