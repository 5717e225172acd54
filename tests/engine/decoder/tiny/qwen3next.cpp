#include "engine/decoder/tiny/qwen3next_parts.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) { qwen3next_layers(m, false); }

}  // namespace

extern const TinyCase qwen3next{
    "qwen3next",
    build,
    "qwen3next",
    {.n_layers = 5},
    {{0,
      {-1.01053333f, 2.17573309f, 0.754307747f, -0.0426795483f, 0.181033731f, -1.50174916f, 4.80367899f, 0.850137353f}},
     {17,
      {-1.57229733f, 4.79418421f, 1.68129492f, 0.961789548f, 6.72155237f, -1.72770381f, -2.50094867f, -1.45315051f}},
     {39,
      {-0.385231555f, 1.19261253f, -3.28139639f, 1.90600944f, -2.18488908f, -5.70613241f, 0.736253977f,
       -0.860278845f}}}};

}  // namespace mtmd::test::tiny
