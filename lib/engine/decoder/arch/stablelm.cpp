// StableLM 2 (arXiv:2402.17834): layer norms, part of each head rotated. The 12B model norms each head of q and k with
// weights of its own and runs both halves of a layer on the same norm.
#include <string>

#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves, NormKind::layer);
  s.parallel = true;
  for (std::int32_t i = 0; i < s.n_layers; ++i)
    if (f.file().find("blk." + std::to_string(i) + ".ffn_norm.weight")) s.parallel = false;
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  const bool normed = weights.has("blk.0.attn_q_norm.weight") || weights.has("blk.0.attn_k_norm.weight");
  for (const Layer& l : layers(m, weights)) {
    l.w.attn_norm = l.norm("attn_norm");
    attention(l, Bias::optional, Bias::none);
    if (normed) head_norms(l, HeadNorm::own);
    if (!l.model.parallel) l.w.ffn_norm = l.norm("ffn_norm");
    feed_forward(l, Bias::none);
  }
}

}  // namespace

extern const Architecture stablelm{"stablelm", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
