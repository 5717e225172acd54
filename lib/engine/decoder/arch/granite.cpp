// Granite 3 (IBM, https://github.com/ibm-granite/granite-3.0-language-models): Llama with maximal-update scales
// (arXiv:2203.03466) on embeddings, attention, residuals and logits.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::adjacent);
  s.embedding_scale = f.number_or("embedding_scale", 1e-6f, 1e6f, 1.0f);
  s.residual_scale = f.number_or("residual_scale", 1e-6f, 1e6f, 1.0f);
  s.attention_scale = f.number_or("attention.scale", 1e-9f, 1e6f, 0.0f);
  s.logit_scale = 1.0f / f.number("logit_scale", 1e-6f, 1e6f);  // the file stores the divisor
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  load_plain(m, weights, {.qkv = Bias::optional, .out = Bias::optional, .feed_forward = Bias::optional});
}

}  // namespace

extern const Architecture granite{"granite", describe, load};

}  // namespace mtmd::decoder::arch
