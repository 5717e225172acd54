// Gemma 2 (arXiv:2408.00118): a sliding window in every other layer, norms before and after each half of a layer, GELU,
// scores and logits kept within bounds by tanh, token embeddings times sqrt(d).
#include <cmath>

#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  s.activation = Activation::gelu_tanh;
  s.embedding_scale = std::sqrt(static_cast<float>(s.n_embd));
  s.attention_softcap = f.number_or("attn_logit_softcapping", 0.0f, 1e6f, 50.0f);
  s.logit_softcap = f.number_or("final_logit_softcapping", 0.0f, 1e6f, 30.0f);
  // The 27B model scales by its width per head instead of the size of its heads.
  const bool is_27b = s.n_layers == 46;
  if (is_27b)
    s.attention_scale = 1.0f / std::sqrt(static_cast<float>(s.n_embd) / static_cast<float>(s.layers[0].n_heads));
  windows(f, s, 2);
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.post_norms = true}); }

}  // namespace

extern const Architecture gemma2{"gemma2", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
