// SmolLM3 (https://huggingface.co/blog/smollm3): Llama without rotation in every fourth layer (NoPE, arXiv:2501.18795).
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::adjacent);
  for (std::int32_t i = 3; i < s.n_layers; i += 4) s.layers[i].rope = -1;
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {}); }

}  // namespace

extern const Architecture smollm3{"smollm3", describe, load};

}  // namespace mtmd::decoder::arch
