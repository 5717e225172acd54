// GLM-4 (arXiv:2406.12793) and GLM-4V's language model: norms before and after each half of a layer, gate and up in one
// matrix, part of each head rotated; neighbours, or halves with M-RoPE. Next-token-prediction blocks stand behind the
// layers.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  const bool has_sections = f.has("rope.dimension_sections");
  DecoderSpec s = transformer(f, has_sections ? RopePairs::halves : RopePairs::adjacent);
  if (has_sections) multimodal(f, s, s.ropes[0]);
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    attention(l, Bias::optional, Bias::none);
    fused_feed_forward(l);
    post_norms(l);
  }
}

}  // namespace

extern const Architecture glm4{"glm4", describe, load};

}  // namespace mtmd::decoder::arch
