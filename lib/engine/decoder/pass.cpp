#include "engine/decoder/pass.h"

#include <algorithm>
#include <cmath>

namespace mtmd::decoder {

Tensor Pass::normed(Tensor x, const Norm& w) {
  if (w.empty()) return x;
  const Tensor y = ws.tensor(x.rows, x.cols);
  norm(y, x, w);
  return y;
}

void Pass::norm(Tensor y, Tensor x, const Norm& w) const {
  if (spec.norm == NormKind::rms)
    device.rms_norm(y, x, w.weight, spec.norm_eps);
  else
    device.layer_norm(y, x, w.weight, w.bias, spec.norm_eps);
}

void Pass::keep(std::size_t layer, Tensor& x, Tensor& q) {
  if (!is_last(layer) || last_x.rows == x.rows) return;
  for (std::int64_t r = 0; r < last_x.rows; ++r) device.copy(last_x.rows_at(r, 1), x.rows_at(memory.kept[r], 1));
  q = kept(layer, q);
  x = last_x;
}

Tensor Pass::kept(std::size_t layer, Tensor t) {
  if (!is_last(layer) || last_x.rows == t.rows) return t;
  const Tensor y = ws.tensor(last_x.rows, t.cols);
  for (std::int64_t r = 0; r < y.rows; ++r) device.copy(y.rows_at(r, 1), t.rows_at(memory.kept[r], 1));
  return y;
}

void Pass::rotate(Tensor x, std::int32_t head_dim, const LayerSpec& s) const {
  if (s.rope >= 0) device.rope(x, head_dim, memory.tables[s.rope], spec.ropes[s.rope].pairs);
}

void Pass::store(std::size_t layer, Tensor k, Tensor v) const {
  device.kv_store(cache.layer(layer), k, v, std::span(plan.cache_rows).subspan(at.begin, rows()));
}

std::span<const PagedQuery> Pass::look(std::size_t layer) const {
  const LayerSpec& s = spec.layers[layer];
  memory.queries.clear();
  const auto add = [&](std::int64_t r) {
    const std::int64_t row = at.begin + r;
    const std::int32_t index = plan.index[row];
    std::int32_t begin = 0;
    if (s.window > 0) begin = s.chunked ? index / s.window * s.window : std::max(0, index + 1 - s.window);
    memory.queries.push_back({cache.blocks(batch.sequences[row]), {begin, plan.visible[row]}});
  };
  if (is_last(layer)) {
    for (std::int64_t r : memory.kept) add(r);
  } else {
    for (std::int64_t r = 0; r < rows(); ++r) add(r);
  }
  return memory.queries;
}

Tensor Pass::attend(std::size_t layer, Tensor q) {
  const LayerSpec& s = spec.layers[layer];
  const Tensor a = ws.tensor(q.rows, std::int64_t{s.n_heads} * s.value_dim);
  const float scale =
      spec.attention_scale != 0.0f ? spec.attention_scale : 1.0f / std::sqrt(static_cast<float>(s.key_dim));
  const std::size_t source = s.kv_layer >= 0 ? static_cast<std::size_t>(s.kv_layer) : layer;
  const KvLayer& kv = cache.layer(source);
  const Precision precision = kv.type == DType::F32 ? Precision::f32 : Precision::f16;  // no more than the cache keeps
  device.attention(a, q, kv, look(layer),
                   {s.n_heads, s.n_kv_heads, s.key_dim, s.value_dim, scale, spec.attention_softcap,
                    model.layers[layer].sinks, precision});
  return a;
}

void Pass::add_residual(Tensor x, const Weight& w, Vector bias, const Norm& post_norm, Tensor h) {
  add_residual(x, post_norm,
               [&](Tensor y, bool accumulate) { device.matmul(y, w, h, {.bias = bias, .accumulate = accumulate}); });
}

void Pass::add_residual(Tensor x, const Norm& post_norm, Tensor y) const {
  if (!post_norm.empty()) norm(y, y, post_norm);
  if (spec.residual_scale != 1.0f) device.scale(y, y, spec.residual_scale);
  device.add(x, x, y);
}

Tensor Pass::zeros(std::int64_t n, std::int64_t cols) {
  const Tensor y = ws.tensor(n, cols);
  device.clamp(y, y, 0.0f, 0.0f);
  return y;
}

}  // namespace mtmd::decoder
