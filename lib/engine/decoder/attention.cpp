// The half of a layer that mixes tokens, as nearly all models have it: grouped-query attention over the cache.
#include <cmath>

#include "engine/decoder/pass.h"

namespace mtmd::decoder {
namespace {

/// Beyond the context a model was trained on its queries grow with the logarithm of the position.
void temper(const Pass& pass, Tensor q) {
  const DecoderSpec& spec = pass.spec;
  for (std::int64_t r = 0; r < q.rows; ++r) {
    const std::int64_t position = pass.batch.positions[pass.at.begin + r].t;
    const auto p = (position + spec.temperature_offset) / spec.temperature_context;
    if (p > 0)
      pass.device.scale(q.rows_at(r, 1), q.rows_at(r, 1),
                        1.0f + spec.attention_temperature * std::log1p(static_cast<float>(p)));
  }
}

void norm_and_rotate(Pass& pass, const LayerSpec& s, const LayerWeights& w, const Vector& weight, Tensor x) {
  if (!pass.spec.rotated_before_norm) norm_heads(pass, weight, w.head_norm, x, s.key_dim);
  pass.rotate(x, s.key_dim, s);
  if (pass.spec.rotated_before_norm) norm_heads(pass, weight, w.head_norm, x, s.key_dim);
}

}  // namespace

void norm_heads(Pass& pass, const Vector& w, HeadNorm kind, Tensor x, std::int32_t head_dim) {
  switch (kind) {
    case HeadNorm::none:
      break;
    case HeadNorm::each:
    case HeadNorm::plain:
      pass.norm(heads(x, head_dim), heads(x, head_dim), {w, {}});
      break;
    case HeadNorm::own:
      pass.norm(heads(x, head_dim), heads(x, head_dim), {});
      pass.device.multiply(x, x, row(w));
      break;
    case HeadNorm::row:
      pass.norm(x, x, {w, {}});
      break;
  }
}

void attention_block(Pass& pass, std::size_t layer, Tensor& x, Tensor h) {
  const LayerSpec& s = pass.spec.layers[layer];
  const LayerWeights& w = pass.model.layers[layer];
  Device& device = pass.device;
  const std::int64_t n = h.rows;
  const bool has_own = s.kv_layer < 0;

  Tensor q = pass.ws.tensor(n, std::int64_t{s.n_heads} * s.key_dim);
  const Tensor k = pass.ws.tensor(has_own ? n : 0, std::int64_t{s.n_kv_heads} * s.key_dim);
  const Tensor v = pass.ws.tensor(has_own ? n : 0, std::int64_t{s.n_kv_heads} * s.value_dim);
  const Product products[] = {{q, w.q, {.bias = w.q_bias}}, {k, w.k, {.bias = w.k_bias}}, {v, w.v, {.bias = w.v_bias}}};
  device.matmul(std::span(products).first(has_own ? 3 : 1), h);
  if (const float c = pass.spec.qkv_clamp; c > 0.0f)
    for (const Tensor& t : {q, k, v}) device.clamp(t, t, -c, c);
  norm_and_rotate(pass, s, w, w.q_norm, q);
  if (pass.spec.attention_temperature != 0.0f && s.tempered) temper(pass, q);
  if (has_own) {
    norm_and_rotate(pass, s, w, w.k_norm, k);
    if (pass.spec.normed_values) device.rms_norm(heads(v, s.value_dim), heads(v, s.value_dim), {}, pass.spec.norm_eps);
    pass.store(layer, k, v);
  }
  pass.keep(layer, x, q);
  if (x.rows > 0) pass.add_residual(x, w.o, w.o_bias, w.post_attn_norm, pass.attend(layer, q));
}

}  // namespace mtmd::decoder
