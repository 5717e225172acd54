// Qwen3 (arXiv:2505.09388): the heads of q and k are RMS-normed before the rotation; no biases.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) { return transformer(f, RopePairs::halves); }

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.head_norms = true}); }

}  // namespace

extern const Architecture qwen3{"qwen3", describe, load};

}  // namespace mtmd::decoder::arch
