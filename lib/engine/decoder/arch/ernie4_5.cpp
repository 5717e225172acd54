// ERNIE 4.5, the dense models (https://yiyan.baidu.com/blog/publication/ERNIE_Technical_Report.pdf): neighbours are
// rotated.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f);
  s.ropes = {rope(f, s, RopePairs::adjacent)};
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    attention(l, Bias::optional, Bias::optional);
    feed_forward(l, Bias::none);
  }
}

}  // namespace

extern const Architecture ernie4_5{"ernie4_5", describe, load};

}  // namespace mtmd::decoder::arch
