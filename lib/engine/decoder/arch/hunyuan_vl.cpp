// HunyuanOCR's language model (arXiv:2511.19575): Hunyuan with rotations by four positions: sequence, row, column and
// picture.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  s.rotated_before_norm = true;
  if (f.has("rope.dimension_sections")) multimodal(f, s, s.ropes[0]);
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.head_norms = true}); }

}  // namespace

extern const Architecture hunyuan_vl{"hunyuan_vl", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
