// OLMo 2 and 3 (arXiv:2501.00656): no norm before a half of a layer, one behind it; all heads of q and of k normed
// together. OLMo 3 has a sliding window in three of four layers, which rotate without scaling.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

enum { global, local };  // indices into DecoderSpec::ropes

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  if (!f.has("attention.sliding_window")) return s;
  s.ropes.push_back(unscaled(s.ropes[global], s.ropes[global].base));
  windows(f, s, 4);
  for (LayerSpec& l : s.layers) l.rope = l.window == 0 ? global : local;
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    attention(l, Bias::none, Bias::none);
    head_norms(l, HeadNorm::row);
    feed_forward(l, Bias::none);
    post_norms(l);
  }
}

}  // namespace

extern const Architecture olmo2{"olmo2", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
