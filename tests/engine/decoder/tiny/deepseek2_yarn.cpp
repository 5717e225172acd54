// DeepSeek-V2's YaRN: the attention factor of arXiv:2405.04434 goes to the scores instead of the rotation.
#include "engine/decoder/tiny/deepseek2_parts.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  const Deepseek s{.q_rank = 32, .n_dense = 2, .split = true};
  deepseek2_keys(m, s);
  m.set("rope.scaling.type", "yarn");
  m.set("rope.scaling.factor", 40.0f);
  m.set("rope.scaling.original_context_length", std::uint32_t{16});
  m.set("rope.scaling.yarn_log_multiplier", 0.0707f);
  deepseek2_layers(m, s, false);
}

}  // namespace

extern const TinyCase deepseek2_yarn{
    "deepseek2_yarn",
    build,
    "deepseek2",
    {.n_heads = 3, .n_kv_heads = 3},
    {{0, {-1.70340967f, 5.62478495f, 2.59540534f, -5.13355017f, 1.44492674f, -5.16014767f, -1.56472647f, -1.92692375f}},
     {17,
      {0.746617079f, 0.146998405f, 2.79600263f, 0.905455887f, 0.614985585f, -0.456268787f, -0.2232548f, -0.839098454f}},
     {39,
      {-0.565373421f, -2.52239561f, 4.1860466f, -3.26180792f, -1.27290213f, -3.99648905f, -5.01813173f, 2.08955336f}}}};

}  // namespace mtmd::test::tiny
