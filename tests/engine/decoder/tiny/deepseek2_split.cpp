// DeepSeek-V3's form: compressed queries, keys and values in two matrices, sigmoid routing in groups with a bias.
#include "engine/decoder/tiny/deepseek2_parts.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  const Deepseek s{.q_rank = 20, .split = true};
  deepseek2_keys(m, s);
  m.set("expert_gating_func", std::uint32_t{2});
  m.set("expert_weights_norm", true);
  m.set("expert_weights_scale", 2.5f);
  m.set("expert_group_count", std::uint32_t{3});
  m.set("expert_group_used_count", std::uint32_t{2});
  deepseek2_layers(m, s, true);
}

}  // namespace

extern const TinyCase deepseek2_split{
    "deepseek2_split",
    build,
    "deepseek2",
    {.n_layers = 4},
    {{0, {-3.21931434f, 4.01027203f, 2.19503212f, -1.77389932f, -0.846419096f, 2.6309073f, 2.86010504f, 2.83004427f}},
     {17,
      {0.94935751f, 0.803590536f, 0.543243051f, -1.37077951f, 3.33429384f, -2.90882874f, -2.82202649f, -3.18918276f}},
     {39,
      {3.56190825f, -4.68885851f, -1.65312624f, 3.05957127f, 2.46427727f, 2.20503712f, 3.01136327f, -4.96569967f}}}};

}  // namespace mtmd::test::tiny
