// Qwen2 and Qwen2.5 (arXiv:2407.10671): q, k and v have biases; halves are rotated.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) { return transformer(f, RopePairs::halves); }

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.qkv = Bias::required}); }

}  // namespace

extern const Architecture qwen2{"qwen2", describe, load};

}  // namespace mtmd::decoder::arch
