// Qwen3 (arXiv:2505.09388): the heads of q and k are RMS-normed before the rotation; no biases.
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
    attention(l, Bias::none, Bias::none);
    head_norms(l);
    feed_forward(l, Bias::none);
  }
}

}  // namespace

extern const Architecture qwen3{"qwen3", describe, load};

}  // namespace mtmd::decoder::arch
