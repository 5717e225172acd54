// Hunyuan (Tencent, https://github.com/Tencent-Hunyuan): the heads of q and k are rotated first, then normed.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  s.rotated_before_norm = true;
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.head_norms = true}); }

}  // namespace

extern const Architecture hunyuan_dense{"hunyuan-dense", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
