// The small form: an embedding per layer, the last two layers use the keys of earlier ones.
#include "engine/decoder/tiny/gemma4_parts.h"

namespace mtmd::test::tiny {
namespace {

void build(TinyModel& m) {
  constexpr std::int32_t kShared = 2, kPerLayer = 8;
  const std::int64_t d = m.sizes.n_embd, all = std::int64_t{kPerLayer} * m.sizes.n_layers;
  gemma4_keys(m, kShared, kPerLayer);
  gemma4_head(m);
  m.tensor("per_layer_token_embd.weight", {TinyModel::kVocab, all}, 0.3f);
  m.matrix("per_layer_model_proj", all, d);
  m.norm("per_layer_proj_norm", kPerLayer);
  for (std::int32_t i = 0; i < m.sizes.n_layers; ++i) {
    gemma4_attention(m, i, i < m.sizes.n_layers - kShared, false);
    m.norm(m.block(i, "ffn_norm"), d);
    m.feed_forward(i);
    m.norm(m.block(i, "post_ffw_norm"), d, 1.5f);
    m.matrix(m.block(i, "inp_gate"), kPerLayer, d);
    m.matrix(m.block(i, "proj"), d, kPerLayer);
    m.norm(m.block(i, "post_norm"), d);
    m.tensor(m.block(i, "layer_output_scale.weight"), {1}, 0.1f, 0.9f);
  }
}

}  // namespace

/// GELU goes through a table of halves in the reference.
extern const TinyCase gemma4{
    "gemma4",
    build,
    "gemma4",
    {.n_layers = 6},
    {{0, {1.22006273f, -8.2079916f, 0.244820997f, -1.88901925f, 2.72331381f, -0.234452009f, 1.37049687f, -4.16364431f}},
     {17,
      {4.24154854f, -5.85624599f, -1.26090932f, 8.72067833f, 0.263090938f, 4.87659359f, -0.275775313f, 0.685526967f}},
     {39,
      {3.80594516f, 0.267840475f, -1.31375873f, 1.33016968f, 3.65773702f, 0.327808619f, 1.94909823f, 0.751529336f}}},
    0.1f};

}  // namespace mtmd::test::tiny
