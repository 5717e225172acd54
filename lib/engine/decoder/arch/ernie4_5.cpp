// ERNIE 4.5, the dense models (https://yiyan.baidu.com/blog/publication/ERNIE_Technical_Report.pdf): neighbours are
// rotated.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) { return transformer(f, RopePairs::adjacent); }

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.qkv = Bias::optional, .out = Bias::optional}); }

}  // namespace

extern const Architecture ernie4_5{"ernie4_5", describe, load};

}  // namespace mtmd::decoder::arch
