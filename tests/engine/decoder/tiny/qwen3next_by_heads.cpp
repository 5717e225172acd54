// The form of older files: one matrix for q, k, v and z, key head by key head.
#include "engine/decoder/tiny/qwen3next_parts.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) { qwen3next_layers(m, true); }

}  // namespace

extern const TinyCase qwen3next_by_heads{
    "qwen3next_by_heads",
    build,
    "qwen3next",
    {.n_layers = 5},
    {{0, {2.22921515f, 0.733114302f, 5.70769501f, 1.87136984f, 0.873821259f, 1.95242095f, 1.48974347f, -3.21289659f}},
     {17,
      {-3.90935373f, -0.462928176f, 4.61318541f, -3.84672952f, -1.05168688f, -3.1182394f, -2.17500806f, 2.20943761f}},
     {39,
      {3.29492879f, -0.297904015f, -4.27011251f, 4.66846371f, -1.06687069f, -4.46338081f, -0.819601655f,
       1.46679556f}}}};

}  // namespace mtmd::test::tiny
