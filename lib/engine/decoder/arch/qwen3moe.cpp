// Qwen3 with experts (arXiv:2505.09388): every feed-forward block is a mixture; the rest is Qwen3.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  mixture(f, s, "expert_feed_forward_length");
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.head_norms = true}); }

}  // namespace

extern const Architecture qwen3moe{"qwen3moe", describe, load};

}  // namespace mtmd::decoder::arch
