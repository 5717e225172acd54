// Qwen2 and Qwen2.5 (arXiv:2407.10671): q, k and v have biases; halves are rotated.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f);
  s.ropes = {rope(f, s, RopePairs::halves)};
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    attention(l, Bias::required, Bias::none);
    feed_forward(l, Bias::none);
  }
}

}  // namespace

extern const Architecture qwen2{"qwen2", describe, load};

}  // namespace mtmd::decoder::arch
