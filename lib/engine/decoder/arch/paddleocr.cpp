// The language model of PaddleOCR-VL (arXiv:2510.14528): ERNIE 4.5 with M-RoPE, halves rotated.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f);
  s.ropes = {rope(f, s, RopePairs::halves)};
  multimodal(f, s, s.ropes[0]);
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    attention(l, Bias::none, Bias::none);
    feed_forward(l, Bias::none);
  }
}

}  // namespace

extern const Architecture paddleocr{"paddleocr", describe, load};

}  // namespace mtmd::decoder::arch
