// Command R (https://docs.cohere.com/docs/command-r): both halves of a layer read the same layer norm, which has no
// bias; logits are scaled. Command R+ norms each head of q and k with weights of its own.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::adjacent, NormKind::layer);
  s.parallel = true;
  s.logit_scale = f.number("logit_scale", 1e-6f, 1e6f);
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  const bool normed = weights.has("blk.0.attn_q_norm.weight") || weights.has("blk.0.attn_k_norm.weight");
  for (const Layer& l : layers(m, weights)) {
    l.w.attn_norm = l.norm("attn_norm");
    attention(l, Bias::optional, Bias::optional);
    if (normed) head_norms(l, HeadNorm::own);
    feed_forward(l, Bias::none);
  }
}

}  // namespace

extern const Architecture command_r{"command-r", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
