// gpt-oss (arXiv:2508.10925): attention with sinks, a sliding window in every other layer; experts with biases, a
// clamped SwiGLU, and a softmax over the experts that are used.
#include "engine/decoder/model.h"

namespace mtmd::decoder::arch {
namespace {

DecoderSpec describe(const Facts& f) {
  DecoderSpec s = transformer(f, RopePairs::halves);
  s.activation = Activation::swiglu_clamped;
  s.gating = Gating::chosen_softmax;
  mixture(f, s, "expert_feed_forward_length");
  if (s.n_experts == 0) f.reject("expert_count", "missing or 0", "at least 1");
  windows(f, s, 2);
  return s;
}

void load(Model& m, gguf::Weights& weights) {
  embeddings(m, weights);
  for (const Layer& l : layers(m, weights)) {
    const std::int64_t n = l.model.n_experts, ff = l.spec.n_ff, d = l.model.n_embd;
    l.w.attn_norm = l.norm("attn_norm");
    attention(l, Bias::required, Bias::required);
    l.w.sinks = l.vector("attn_sinks.weight", l.spec.n_heads);
    l.w.ffn_norm = l.norm("post_attention_norm");
    mixture(l);
    l.w.router_bias = l.vector("ffn_gate_inp.bias", n);
    l.w.experts.gate_bias = l.values("ffn_gate_exps.bias", {n, ff});
    l.w.experts.up_bias = l.values("ffn_up_exps.bias", {n, ff});
    l.w.experts.down_bias = l.values("ffn_down_exps.bias", {n, d});
  }
}

}  // namespace

extern const Architecture gpt_oss{"gpt-oss", describe, load, Verified::library};

}  // namespace mtmd::decoder::arch
