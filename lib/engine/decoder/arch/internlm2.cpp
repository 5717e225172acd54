// InternLM2 (arXiv:2403.17297): Llama.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) { return transformer(f, RopePairs::adjacent); }

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.qkv = Bias::optional, .out = Bias::optional}); }

}  // namespace

extern const Architecture internlm2{"internlm2", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
