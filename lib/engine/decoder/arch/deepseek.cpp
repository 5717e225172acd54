// DeepSeekMoE (arXiv:2401.06066): Llama with many small experts and a shared one, behind a few dense layers; the
// experts' weights are the router's probabilities as they are.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::adjacent);
  s.normalised_experts = false;
  mixture(f, s, "expert_feed_forward_length");
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {}); }

}  // namespace

extern const Architecture deepseek{"deepseek", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
