// StarCoder 2 (arXiv:2402.19173): layer norms, biases everywhere, a feed-forward block without gate. Its sliding window
// is as long as the context it was trained on.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves, NormKind::layer);
  s.activation = Activation::gelu_tanh;
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    attention(l, Bias::required, Bias::required);
    ungated_feed_forward(l, Bias::required);
  }
}

}  // namespace

extern const Architecture starcoder2{"starcoder2", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
