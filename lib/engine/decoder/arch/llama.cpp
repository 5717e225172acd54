// Llama (arXiv:2302.13971, 2407.21783) and what is built like it: SmolLM2, Mistral, and Mixtral with its experts
// (arXiv:2401.04088). RMS norms, rotation of neighbours, SwiGLU. Llama 3.1 and later divide the rotation's frequencies
// by factors stored beside the weights.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::adjacent);
  mixture(f, s, "feed_forward_length");
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  load_plain(m, weights, {.qkv = Bias::optional, .out = Bias::optional, .feed_forward = Bias::optional});
}

}  // namespace

extern const Architecture llama{"llama", describe, load};

}  // namespace mtmd::decoder::arch
