#include "engine/decoder/model.h"

#include <algorithm>

#include "engine/base/error.h"

namespace mtmd::decoder {
namespace {

Vector bias(const Layer& l, std::string_view tensor, std::int64_t n, Bias kind) {
  switch (kind) {
    case Bias::none:
      return {};
    case Bias::required:
      return l.vector(tensor, n);
    case Bias::optional:
      return l.vector_if(tensor, n);
  }
  return {};
}

}  // namespace

Weight Layer::matrix(std::string_view tensor, std::int64_t out, std::int64_t in) const {
  return weights.matrix(name(tensor), out, in);
}

std::vector<Layer> layers(Model& m, gguf::Weights& weights) {
  m.layers.resize(m.spec.layers.size());
  std::vector<Layer> all;
  all.reserve(m.layers.size());
  for (std::int32_t i = 0; i < m.spec.n_layers; ++i) all.push_back({weights, m.spec, m.spec.layers[i], m.layers[i], i});
  return all;
}

void embeddings(Model& m, gguf::Weights& weights) {
  const DecoderSpec& s = m.spec;
  m.token_embd = weights.matrix("token_embd.weight", s.n_vocab, s.n_embd);
  m.output_norm = weights.vector("output_norm.weight", s.n_embd);
  m.output = s.tied_output ? m.token_embd : weights.matrix("output.weight", s.n_vocab, s.n_embd);
}

std::vector<float> frequency_factors(gguf::Weights& weights, std::string_view tensor, const RopeSpec& rope) {
  const Vector factors = weights.vector_if(tensor, rope.n_dims / 2);
  if (std::any_of(factors.begin(), factors.end(), [](float f) { return !(f > 0.0f); }))
    fail(ErrorCategory::model, "{}: {} holds a value that is not positive", weights.file().metadata().file(), tensor);
  return {factors.begin(), factors.end()};
}

void norms(const Layer& l) {
  l.w.attn_norm = l.vector("attn_norm.weight", l.model.n_embd);
  l.w.ffn_norm = l.vector("ffn_norm.weight", l.model.n_embd);
}

void attention(const Layer& l, Bias qkv, Bias out) {
  const std::int64_t d = l.model.n_embd, q = std::int64_t{l.spec.n_heads} * l.spec.key_dim,
                     k = std::int64_t{l.spec.n_kv_heads} * l.spec.key_dim,
                     v = std::int64_t{l.spec.n_kv_heads} * l.spec.value_dim;
  l.w.q = l.matrix("attn_q.weight", q, d);
  l.w.k = l.matrix("attn_k.weight", k, d);
  l.w.v = l.matrix("attn_v.weight", v, d);
  l.w.o = l.matrix("attn_output.weight", d, std::int64_t{l.spec.n_heads} * l.spec.value_dim);
  l.w.q_bias = bias(l, "attn_q.bias", q, qkv);
  l.w.k_bias = bias(l, "attn_k.bias", k, qkv);
  l.w.v_bias = bias(l, "attn_v.bias", v, qkv);
  l.w.o_bias = bias(l, "attn_output.bias", d, out);
}

void fused_attention(const Layer& l) {
  const std::int64_t d = l.model.n_embd, q = std::int64_t{l.spec.n_heads} * l.spec.key_dim,
                     k = std::int64_t{l.spec.n_kv_heads} * l.spec.key_dim,
                     v = std::int64_t{l.spec.n_kv_heads} * l.spec.value_dim;
  const Weight qkv = l.matrix("attn_qkv.weight", q + k + v, d);
  l.w.q = qkv.rows_at(0, q);
  l.w.k = qkv.rows_at(q, k);
  l.w.v = qkv.rows_at(q + k, v);
  l.w.o = l.matrix("attn_output.weight", d, std::int64_t{l.spec.n_heads} * l.spec.value_dim);
}

void head_norms(const Layer& l) {
  l.w.q_norm = l.vector("attn_q_norm.weight", l.spec.key_dim);
  l.w.k_norm = l.vector("attn_k_norm.weight", l.spec.key_dim);
}

void feed_forward(const Layer& l, Bias kind) {
  const std::int64_t d = l.model.n_embd, ff = l.spec.n_ff;
  l.w.gate = l.matrix("ffn_gate.weight", ff, d);
  l.w.up = l.matrix("ffn_up.weight", ff, d);
  l.w.down = l.matrix("ffn_down.weight", d, ff);
  l.w.gate_bias = bias(l, "ffn_gate.bias", ff, kind);
  l.w.up_bias = bias(l, "ffn_up.bias", ff, kind);
  l.w.down_bias = bias(l, "ffn_down.bias", d, kind);
}

void fused_feed_forward(const Layer& l) {
  const std::int64_t d = l.model.n_embd, ff = l.spec.n_ff;
  const Weight both = l.matrix("ffn_up.weight", 2 * ff, d);
  l.w.gate = both.rows_at(0, ff);
  l.w.up = both.rows_at(ff, ff);
  l.w.down = l.matrix("ffn_down.weight", d, ff);
}

void mixture(const Layer& l) {
  const std::int64_t d = l.model.n_embd, ff = l.spec.n_ff, n = l.model.n_experts;
  l.w.router = l.matrix("ffn_gate_inp.weight", n, d);
  l.w.experts.gate = l.weights.experts(l.name("ffn_gate_exps.weight"), n, ff, d);
  l.w.experts.up = l.weights.experts(l.name("ffn_up_exps.weight"), n, ff, d);
  l.w.experts.down = l.weights.experts(l.name("ffn_down_exps.weight"), n, d, ff);
  l.w.experts.activation = l.model.activation;
}

}  // namespace mtmd::decoder
