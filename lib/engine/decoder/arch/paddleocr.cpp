// The language model of PaddleOCR-VL (arXiv:2510.14528): ERNIE 4.5 with M-RoPE, halves rotated.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  multimodal(f, s, s.ropes[0]);
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {}); }

}  // namespace

extern const Architecture paddleocr{"paddleocr", describe, load};

}  // namespace mtmd::decoder::arch
