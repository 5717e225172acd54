// Qwen3 with experts (arXiv:2505.09388): every feed-forward block is a mixture; the rest is Qwen3.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f);
  mixture(f, s, "expert_feed_forward_length");
  s.ropes = {rope(f, s, RopePairs::halves)};
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    attention(l, Bias::none, Bias::none);
    head_norms(l);
    mixture(l);
  }
}

}  // namespace

extern const Architecture qwen3moe{"qwen3moe", describe, load};

}  // namespace mtmd::decoder::arch
