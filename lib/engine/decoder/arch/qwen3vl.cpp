// The language model of Qwen3-VL (arXiv:2511.21631): Qwen3 whose rotation interleaves time, row and column (t y x t y x
// ...), and whose first layers each add features of an earlier layer of the vision encoder to the image's tokens
// (DeepStack, arXiv:2406.04334).
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  multimodal(f, s, s.ropes[0]);
  s.ropes[0].interleaved_sections = true;
  s.n_deepstack = f.integer_or("n_deepstack_layers", 0, s.n_layers - 1, 0);
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.head_norms = true}); }

}  // namespace

extern const Architecture qwen3vl{"qwen3vl", describe, load};

}  // namespace mtmd::decoder::arch
