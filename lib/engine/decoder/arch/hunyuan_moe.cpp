// Hunyuan-A13B (https://github.com/Tencent-Hunyuan/Hunyuan-A13B): Hunyuan with experts, one of which every token uses.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  s.rotated_before_norm = true;
  mixture(f, s, "feed_forward_length");
  f.integer_or("expert_feed_forward_length", 1, kMaxWidth, 1);  // checked only: experts have the width of the other key
  if (s.n_experts == 0) f.reject("expert_count", "missing or 0", "at least 1");
  if (s.n_ff_shared == 0) f.reject("expert_shared_feed_forward_length", "missing or 0", "at least 1");
  return s;
}

void load(Model& m, gguf::Weights& weights) { load_plain(m, weights, {.head_norms = true}); }

}  // namespace

extern const Architecture hunyuan_moe{"hunyuan-moe", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
