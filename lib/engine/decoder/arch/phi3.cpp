// Phi-3 and Phi-4-mini (arXiv:2404.14219): q, k, v in one matrix, gate and up in one matrix. Long contexts divide the
// rotation's frequencies by learnt factors (LongRoPE, arXiv:2402.13753), short ones by others. The sliding window of
// the first models is left out, as the reference does: it only ever hides the distant past.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) { return transformer(f, RopePairs::halves); }

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  RopeSpec& r = m.spec.ropes[0];
  const auto long_factors = frequency_factors(weights, "rope_factors_long.weight", r);
  const auto short_factors = frequency_factors(weights, "rope_factors_short.weight", r);
  r.factors = m.spec.n_ctx > r.original_context ? long_factors : short_factors;
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    fused_attention(l, Bias::none, Bias::none);
    fused_feed_forward(l);
  }
}

}  // namespace

extern const Architecture phi3{"phi3", describe, load};

}  // namespace mtmd::decoder::arch
