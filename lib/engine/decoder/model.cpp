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

Norm read_norm(const DecoderSpec& s, gguf::Weights& weights, const std::string& name) {
  const bool may_have_bias = s.norm == NormKind::layer;
  return {weights.vector(name + ".weight", s.n_embd),
          may_have_bias ? weights.vector_if(name + ".bias", s.n_embd) : Vector{}};
}

/// Rows of q, k and v: [H k, d], [G k, d], [G v, d].
struct Widths {
  std::int64_t q, k, v, out;
};
Widths widths(const LayerSpec& s) {
  const std::int64_t h = s.n_heads, g = s.n_kv_heads;
  return {h * s.key_dim, g * s.key_dim, g * s.value_dim, h * s.value_dim};
}

void fused_qkv(const Layer& l, Bias kind) {
  const auto [q, k, v, out] = widths(l.spec);
  const Weight qkv = l.matrix("attn_qkv.weight", q + k + v, l.model.n_embd);
  l.w.q = qkv.rows_at(0, q);
  l.w.k = qkv.rows_at(q, k);
  l.w.v = qkv.rows_at(q + k, v);
  const Vector b = bias(l, "attn_qkv.bias", q + k + v, kind);
  if (b.empty()) return;
  const auto part = [&](std::int64_t at, std::int64_t n) {
    return b.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(n));
  };
  l.w.q_bias = part(0, q);
  l.w.k_bias = part(q, k);
  l.w.v_bias = part(q + k, v);
}

void attention_output(const Layer& l, Bias kind) {
  l.w.o = l.matrix("attn_output.weight", l.model.n_embd, widths(l.spec).out);
  l.w.o_bias = bias(l, "attn_output.bias", l.model.n_embd, kind);
}

}  // namespace

Weight Layer::matrix(std::string_view tensor, std::int64_t out, std::int64_t in) const {
  return weights.matrix(name(tensor), out, in);
}

Norm Layer::norm(std::string_view tensor) const { return read_norm(model, weights, name(tensor)); }

Norm Layer::norm_if(std::string_view tensor) const {
  return has(std::string(tensor) + ".weight") ? norm(tensor) : Norm{};
}

std::vector<Layer> layers(Model& m, gguf::Weights& weights) {
  m.layers.resize(m.spec.layers.size());
  std::vector<Layer> all;
  all.reserve(m.layers.size());
  for (std::int32_t i = 0; i < m.spec.n_layers; ++i) all.push_back({weights, m.spec, m.spec.layers[i], m.layers[i], i});
  return all;
}

void embeddings(Model& m, gguf::Weights& weights, std::string_view norm) {
  const DecoderSpec& s = m.spec;
  m.token_embd = weights.matrix("token_embd.weight", s.n_vocab, s.n_embd);
  m.output_norm = read_norm(s, weights, std::string(norm));
  m.output = s.tied_output ? m.token_embd : weights.matrix("output.weight", s.n_vocab, s.n_embd);
}

std::vector<float> frequency_factors(gguf::Weights& weights, std::string_view tensor, const RopeSpec& rope) {
  const Vector factors = weights.vector_if(tensor, rope.n_dims / 2);
  if (std::any_of(factors.begin(), factors.end(), [](float f) { return !(f > 0.0f); }))
    fail(ErrorCategory::model, "{}: {} holds a value that is not positive", weights.file().metadata().file(), tensor);
  return {factors.begin(), factors.end()};
}

void norms(const Layer& l) {
  l.w.attn_norm = l.norm("attn_norm");
  l.w.ffn_norm = l.norm("ffn_norm");
}

void post_norms(const Layer& l) {
  l.w.post_attn_norm = l.norm("post_attention_norm");
  l.w.post_ffn_norm = l.norm("post_ffw_norm");
}

void attention(const Layer& l, Bias qkv, Bias out) {
  const std::int64_t d = l.model.n_embd;
  const Widths n = widths(l.spec);
  if (l.has("attn_qkv.weight")) return fused_attention(l, qkv, out);
  l.w.q = l.matrix("attn_q.weight", n.q, d);
  l.w.k = l.matrix("attn_k.weight", n.k, d);
  l.w.v = l.matrix("attn_v.weight", n.v, d);
  l.w.q_bias = bias(l, "attn_q.bias", n.q, qkv);
  l.w.k_bias = bias(l, "attn_k.bias", n.k, qkv);
  l.w.v_bias = bias(l, "attn_v.bias", n.v, qkv);
  attention_output(l, out);
}

void fused_attention(const Layer& l, Bias qkv, Bias out) {
  fused_qkv(l, qkv);
  attention_output(l, out);
}

void head_norms(const Layer& l, HeadNorm kind) {
  l.w.head_norm = kind;
  if (kind == HeadNorm::none || kind == HeadNorm::plain) return;
  const auto read = [&](const char* tensor, std::int64_t n_heads) {
    if (kind == HeadNorm::own) return l.weights.values(l.name(tensor), {n_heads, l.spec.key_dim});
    return l.vector(tensor, kind == HeadNorm::row ? n_heads * l.spec.key_dim : l.spec.key_dim);
  };
  l.w.q_norm = read("attn_q_norm.weight", l.spec.n_heads);
  l.w.k_norm = read("attn_k_norm.weight", l.spec.n_kv_heads);
}

void feed_forward(const Layer& l, Bias kind) {
  l.w.gate = l.matrix("ffn_gate.weight", l.spec.n_ff, l.model.n_embd);
  l.w.gate_bias = bias(l, "ffn_gate.bias", l.spec.n_ff, kind);
  ungated_feed_forward(l, kind);
}

void ungated_feed_forward(const Layer& l, Bias kind) {
  const std::int64_t d = l.model.n_embd, ff = l.spec.n_ff;
  l.w.up = l.matrix("ffn_up.weight", ff, d);
  l.w.down = l.matrix("ffn_down.weight", d, ff);
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

void experts(const Layer& l) {
  const std::int64_t d = l.model.n_embd, ff = l.spec.n_ff, n = l.model.n_experts;
  const auto experts = [&](const char* tensor, std::int64_t out, std::int64_t in) {
    return l.weights.experts(l.name(tensor), n, out, in);
  };
  l.w.router = l.matrix("ffn_gate_inp.weight", n, d);
  if (l.has("ffn_gate_up_exps.weight")) {
    l.w.experts.gate_up = experts("ffn_gate_up_exps.weight", 2 * ff, d);
  } else {
    l.w.experts.gate = experts("ffn_gate_exps.weight", ff, d);
    l.w.experts.up = experts("ffn_up_exps.weight", ff, d);
  }
  l.w.experts.down = experts("ffn_down_exps.weight", d, ff);
  l.w.experts.activation = l.model.activation;
}

void mixture(const Layer& l) {
  const std::int64_t d = l.model.n_embd, shared = l.model.n_ff_shared;
  experts(l);
  l.w.selection_bias = l.vector_if("exp_probs_b.bias", l.model.n_experts);
  if (shared == 0) return;
  l.w.shared_gate = l.matrix("ffn_gate_shexp.weight", shared, d);
  l.w.shared_up = l.matrix("ffn_up_shexp.weight", shared, d);
  l.w.shared_down = l.matrix("ffn_down_shexp.weight", d, shared);
}

void load_plain(Model& m, gguf::Weights& weights, const Plain& plain) {
  embeddings(m, weights);
  if (!m.spec.ropes.empty() && m.spec.ropes[0].factors.empty())
    m.spec.ropes[0].factors = frequency_factors(weights, "rope_freqs.weight", m.spec.ropes[0]);
  for (const Layer& l : layers(m, weights)) {
    norms(l);
    attention(l, plain.qkv, plain.out);
    if (plain.head_norms) head_norms(l);
    if (plain.post_norms) post_norms(l);
    l.spec.moe ? mixture(l) : feed_forward(l, plain.feed_forward);
  }
}

}  // namespace mtmd::decoder
