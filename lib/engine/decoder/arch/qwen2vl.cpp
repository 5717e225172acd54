// The language model of Qwen2-VL and Qwen2.5-VL (arXiv:2409.12191): Qwen2 whose rotation follows time, row and column
// in three ranges of pairs (M-RoPE).
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  multimodal(f, s, s.ropes[0]);
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.qkv = Bias::required}); }

}  // namespace

extern const Architecture qwen2vl{"qwen2vl", describe, load};

}  // namespace mtmd::decoder::arch
