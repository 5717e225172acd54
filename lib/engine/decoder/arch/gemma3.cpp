// Gemma 3 (arXiv:2503.19786): five layers with a sliding window, then one that sees everything; window layers rotate
// with their own base and without scaling. Norms before and after each half of a layer, q and k heads normed, GELU,
// token embeddings times sqrt(d). The tokens of an image see each other.
#include <cmath>

#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

enum { global, local };  // indices into DecoderSpec::ropes

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  s.activation = Activation::gelu_tanh;
  s.embedding_scale = std::sqrt(static_cast<float>(s.n_embd));
  s.logit_softcap = f.number_or("final_logit_softcapping", 0.0f, 1e6f, 0.0f);
  s.image_block_sees_itself = true;
  // The 27B model scales by its width per head instead of the size of its heads.
  const bool is_27b = s.n_layers == 62;
  if (is_27b)
    s.attention_scale = 1.0f / std::sqrt(static_cast<float>(s.n_embd) / static_cast<float>(s.layers[0].n_heads));

  s.ropes.push_back(unscaled(s.ropes[global], f.number_or("rope.freq_base_swa", 1e-3f, 1e12f, 10000.0f)));
  windows(f, s, f.integer_or("attention.sliding_window_pattern", 1, 4096, 6));
  for (LayerSpec& l : s.layers) l.rope = l.window == 0 ? global : local;
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    attention(l, Bias::none, Bias::none);
    head_norms(l);
    feed_forward(l, Bias::none);
    post_norms(l);
  }
}

}  // namespace

extern const Architecture gemma3{"gemma3", describe, load};

}  // namespace mtmd::decoder::arch
