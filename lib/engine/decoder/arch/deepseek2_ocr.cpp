// The language model of DeepSeek-OCR (arXiv:2510.18234), DeepSeek-3B-MoE: DeepSeekMoE (arXiv:2401.06066), halves
// rotated. The shared experts are one of twice the width.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  s.normalised_experts = false;
  mixture(f, s, "expert_feed_forward_length");
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {}); }

}  // namespace

extern const Architecture deepseek2_ocr{"deepseek2-ocr", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
