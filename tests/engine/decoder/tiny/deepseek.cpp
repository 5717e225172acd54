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

extern const TinyCase deepseek{
    "deepseek",
    build,
    "deepseek",
    {},
    {{0, {4.20783043f, 1.59466696f, -0.343597412f, 4.38947248f, 1.70004511f, -0.288689613f, 1.4630065f, 5.45331478f}},
     {17,
      {0.503991425f, 5.00504446f, -0.0316604972f, 2.71060896f, -3.1562562f, -2.32495356f, -2.02949667f, 0.393666804f}},
     {39,
      {-2.05300426f, 4.32378483f, -0.493742704f, -4.39208221f, 0.392227352f, -0.50405407f, 2.14373684f, 4.63376856f}}}};

}  // namespace mtmd::test::tiny
