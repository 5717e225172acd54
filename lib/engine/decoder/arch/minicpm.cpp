// MiniCPM (arXiv:2404.06395): Llama with the scales of its tensor programs on embeddings, residuals and logits. Files
// that leave them out have those of the 2B model.
#include <cmath>

#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::adjacent);
  mixture(f, s, "feed_forward_length");
  const auto n_layers = static_cast<float>(s.n_layers), d = static_cast<float>(s.n_embd);
  s.embedding_scale = f.number_or("embedding_scale", 1e-6f, 1e6f, 12.0f);
  s.residual_scale = f.number_or("residual_scale", 1e-6f, 1e6f, 1.4f / std::sqrt(n_layers));
  s.logit_scale = 1.0f / f.number_or("logit_scale", 1e-6f, 1e6f, 256.0f / d);  // the file stores the divisor
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  load_plain(m, weights, {.qkv = Bias::optional, .out = Bias::optional, .feed_forward = Bias::optional});
}

}  // namespace

extern const Architecture minicpm{"minicpm", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
