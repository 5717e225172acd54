// Mistral 3 and Ministral 3 (https://mistral.ai/news/mistral-3): Llama with YaRN; beyond the original context the
// queries grow with the logarithm of the position (Llama 4's attention temperature), also with experts.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::adjacent);
  mixture(f, s, "feed_forward_length");
  s.attention_temperature = f.number_or("attention.temperature_scale", 0.0f, 1e3f, 0.0f);
  s.temperature_context = f.integer_or("rope.scaling.original_context_length", 1, 1 << 30, s.n_ctx_train);
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  load_plain(m, weights, {.qkv = Bias::optional, .out = Bias::optional, .feed_forward = Bias::optional});
}

}  // namespace

extern const Architecture mistral3{"mistral3", describe, load};

}  // namespace mtmd::decoder::arch
