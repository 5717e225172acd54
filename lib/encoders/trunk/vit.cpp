#include "encoders/trunk/vit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "encoders/trunk/hparams.h"
#include "engine/base/error.h"
#include "engine/tensor/precision.h"

namespace mtmd::encoders {
namespace {

/// The widest part of a block runs in chunks of rows, so that its scratch memory does not grow with the picture.
constexpr std::int64_t kFeedForwardRows = 1024;

/// Queries and keys need not be more precise than what makes them.
Precision attention_precision(const Weight& w) noexcept {
  if (w.precision != Precision::bf16_exact) return w.precision;
  const bool whole = w.type == DType::F32 || (w.type == DType::F16 && !seems_to_fit_bf16(w));
  return whole ? Precision::f16 : Precision::bf16_exact;
}

}  // namespace

std::vector<KeyRange> own_picture(std::int64_t n_pictures, std::int64_t n) {
  std::vector<KeyRange> ranges;
  ranges.reserve(static_cast<std::size_t>(n_pictures * n));
  for (std::int64_t i = 0; i < n_pictures; ++i) {
    const KeyRange own{static_cast<std::int32_t>(i * n), static_cast<std::int32_t>((i + 1) * n)};
    ranges.insert(ranges.end(), static_cast<std::size_t>(n), own);
  }
  return ranges;
}

Vit::Vit(gguf::Weights& weights, Device& device, const VitSpec& spec) : device_(&device), spec_(spec) {
  if (spec_.n_kv_heads == 0) spec_.n_kv_heads = spec_.n_heads;
  const std::int64_t d = spec.n_embd;
  const auto outer = [&](const char* name) { return weights.vector_if(std::string(spec.prefix) + name, d); };
  pre_ln_ = outer("pre_ln.weight"), pre_ln_bias_ = outer("pre_ln.bias");
  post_ln_ = outer("post_ln.weight"), post_ln_bias_ = outer("post_ln.bias");
  for (int i = 0; i < spec.n_layers; ++i)
    layers_.push_back(load_layer(weights, fmt::format("{}blk.{}.", spec.prefix, i)));
  layers_.resize(static_cast<std::size_t>(std::max(0, spec.n_layers - spec.n_skipped)));
}

Vit::Layer Vit::load_layer(gguf::Weights& weights, const std::string& prefix) const {
  const std::int64_t d = spec_.n_embd, head_dim = d / spec_.n_heads, kv = head_dim * spec_.n_kv_heads;
  const auto vector = [&](const char* name) { return weights.vector(prefix + name, d); };
  const auto vector_if = [&](const char* name, std::int64_t n) { return weights.vector_if(prefix + name, n); };
  Layer layer;
  layer.ln1 = vector("ln1.weight"), layer.ln1_bias = vector_if("ln1.bias", d);
  layer.ln2 = vector("ln2.weight"), layer.ln2_bias = vector_if("ln2.bias", d);
  layer.ls1 = vector_if("ls1.weight", d), layer.ls2 = vector_if("ls2.weight", d);
  layer.q_norm = vector_if("attn_q_norm.weight", head_dim), layer.k_norm = vector_if("attn_k_norm.weight", head_dim);
  if (const Weight fused = weights.matrix_if(prefix + "attn_qkv.weight", d + 2 * kv, d)) {
    layer.q = fused.rows_at(0, d), layer.k = fused.rows_at(d, kv), layer.v = fused.rows_at(d + kv, kv);
    if (const Vector bias = vector_if("attn_qkv.bias", d + 2 * kv); !bias.empty()) {
      const auto n = static_cast<std::size_t>(d), m = static_cast<std::size_t>(kv);
      layer.q_bias = bias.subspan(0, n), layer.k_bias = bias.subspan(n, m), layer.v_bias = bias.subspan(n + m, m);
    }
  } else {
    layer.q = weights.matrix(prefix + "attn_q.weight", d, d), layer.q_bias = vector_if("attn_q.bias", d);
    layer.k = weights.matrix(prefix + "attn_k.weight", kv, d), layer.k_bias = vector_if("attn_k.bias", kv);
    layer.v = weights.matrix(prefix + "attn_v.weight", kv, d), layer.v_bias = vector_if("attn_v.bias", kv);
  }
  layer.attention = attention_precision(layer.q);
  layer.o = weights.matrix(prefix + "attn_out.weight", d, d), layer.o_bias = vector_if("attn_out.bias", d);
  layer.attn_post_norm = vector_if("attn_post_norm.weight", d);
  layer.ffn_post_norm = vector_if("ffn_post_norm.weight", d);
  load_ffn(weights, prefix, layer);
  load_clamps(weights, prefix, layer);
  return layer;
}

void Vit::load_ffn(gguf::Weights& weights, const std::string& prefix, Layer& layer) const {
  const std::int64_t d = spec_.n_embd;
  std::string up = prefix + "ffn_up", down = prefix + "ffn_down";
  // The older naming is recognised by the columns of "ffn_down"; feed_forward_length may be 0 in such files.
  const gguf::TensorInfo* named_down = weights.find(down + ".weight");
  if (spec_.swapped_ffn && named_down != nullptr && named_down->shape.back() == d) std::swap(up, down);
  const std::int64_t n_ff = matrix_rows(weights, up + ".weight");
  layer.up = weights.matrix(up + ".weight", n_ff, d), layer.up_bias = weights.vector_if(up + ".bias", n_ff);
  layer.down = weights.matrix(down + ".weight", d, n_ff), layer.down_bias = weights.vector_if(down + ".bias", d);
  if (spec_.gated) {
    layer.gate = weights.matrix(prefix + "ffn_gate.weight", n_ff, d);
    layer.gate_bias = weights.vector_if(prefix + "ffn_gate.bias", n_ff);
  }
}

void Vit::load_clamps(gguf::Weights& weights, const std::string& prefix, Layer& layer) {
  const std::pair<const char*, Clamps*> all[] = {{"attn_q", &layer.q_clamps},     {"attn_k", &layer.k_clamps},
                                                 {"attn_v", &layer.v_clamps},     {"attn_out", &layer.o_clamps},
                                                 {"ffn_up", &layer.up_clamps},    {"ffn_gate", &layer.gate_clamps},
                                                 {"ffn_down", &layer.down_clamps}};
  for (const auto& [name, clamps] : all) {
    *clamps = Clamps(weights, prefix + name);
    layer.clamped = layer.clamped || *clamps;
  }
}

void Vit::norm(Tensor y, Tensor x, Vector w, Vector b) const {
  if (spec_.norm == Norm::layer) {
    device_->layer_norm(y, x, w, b, spec_.eps);
  } else {
    device_->rms_norm(y, x, w, spec_.eps);
  }
}

void Vit::run(Workspace& ws, Tensor x, const Pass& pass) const {
  begin(x);
  run_layers(ws, x, pass, 0, n_layers());
  end(x);
}

void Vit::begin(Tensor x) const {
  if (!pre_ln_.empty()) norm(x, x, pre_ln_, pre_ln_bias_);
}

void Vit::run_layers(Workspace& ws, Tensor x, const Pass& pass, int first, int end) const {
  for (int i = first; i < end; ++i) {
    const Layer& layer = layers_[static_cast<std::size_t>(i)];
    attention(ws, x, layer, pass, i);
    feed_forward(ws, x, layer);
    if (pass.after_layer) pass.after_layer(i, x);
  }
}

void Vit::end(Tensor x) const {
  if (!post_ln_.empty()) norm(x, x, post_ln_, post_ln_bias_);
}

template <class F>
void Vit::add_residual(Workspace& ws, Tensor x, const Residual& how, bool adds, const F& product) const {
  const Vector scale = how.scale;
  if (adds && scale.empty() && how.norm.empty()) return product(x, true);
  const Workspace::Scope scope(ws);
  const Tensor y = ws.tensor(x.rows, x.cols);
  product(y, false);
  if (!how.norm.empty()) norm(y, y, how.norm, how.bias);
  if (!scale.empty()) device_->multiply(y, y, Tensor(const_cast<float*>(scale.data()), 1, x.cols));  // read only
  device_->add(x, x, y);
}

void Vit::add_product(Workspace& ws, Tensor x, const Weight& w, Vector bias, const Residual& how, Tensor y,
                      const Clamps& clamps) const {
  add_residual(ws, x, how, !clamps, [&](Tensor to, bool accumulate) {
    clamps.matmul(*device_, ws, to, w, y, {.bias = bias, .accumulate = accumulate});
  });
}

void Vit::attention(Workspace& ws, Tensor x, const Layer& layer, const Pass& pass, int index) const {
  const Workspace::Scope scope(ws);
  const std::int32_t head_dim = spec_.n_embd / spec_.n_heads;
  const std::int64_t kv_cols = std::int64_t{spec_.n_kv_heads} * head_dim;
  const Tensor h = ws.tensor(x.rows, x.cols), q = ws.tensor(x.rows, x.cols), k = ws.tensor(x.rows, kv_cols),
               v = ws.tensor(x.rows, kv_cols);
  if (!spec_.norm_after) norm(h, x, layer.ln1, layer.ln1_bias);
  project(ws, q, k, v, layer, spec_.norm_after ? x : h);
  const auto per_head = [&](Tensor t) { return t.reshaped(t.rows * t.cols / head_dim, head_dim); };
  if (!layer.q_norm.empty()) device_->rms_norm(per_head(q), per_head(q), layer.q_norm, spec_.eps);
  if (!layer.k_norm.empty()) device_->rms_norm(per_head(k), per_head(k), layer.k_norm, spec_.eps);
  if (spec_.norm_values) device_->rms_norm(per_head(v), per_head(v), {}, spec_.eps);
  if (pass.rotate) {
    pass.rotate(q);
    pass.rotate(k);
  } else if (pass.rope != nullptr) {
    device_->rope(q, head_dim, *pass.rope, pass.pairs);
    device_->rope(k, head_dim, *pass.rope, pass.pairs);
  }
  AttentionOptions options;
  options.n_heads = spec_.n_heads, options.n_kv_heads = spec_.n_kv_heads;
  options.key_dim = options.value_dim = head_dim;
  options.precision = layer.attention;
  options.scale = spec_.attention_scale > 0 ? spec_.attention_scale : 1.0f / std::sqrt(static_cast<float>(head_dim));
  const bool windowed = pass.windowed && pass.windowed(index);
  device_->attention(h, q, k, v, windowed ? pass.windows : pass.ranges, options);
  add_product(ws, x, layer.o, layer.o_bias, residual(layer.ls1, layer.ln1, layer.ln1_bias, layer.attn_post_norm), h,
              layer.o_clamps);
}

void Vit::project(Workspace& ws, Tensor q, Tensor k, Tensor v, const Layer& layer, Tensor x) const {
  if (layer.clamped) {
    layer.q_clamps.matmul(*device_, ws, q, layer.q, x, {.bias = layer.q_bias});
    layer.k_clamps.matmul(*device_, ws, k, layer.k, x, {.bias = layer.k_bias});
    layer.v_clamps.matmul(*device_, ws, v, layer.v, x, {.bias = layer.v_bias});
    return;
  }
  device_->matmul({{q, layer.q, {.bias = layer.q_bias}},
                   {k, layer.k, {.bias = layer.k_bias}},
                   {v, layer.v, {.bias = layer.v_bias}}},
                  x);
}

/// hidden = act(up x), or act(gate x) * up x
void Vit::expand_clamped(Workspace& ws, Tensor hidden, const Layer& layer, Tensor x) const {
  if (spec_.gated) {
    const Workspace::Scope scope(ws);
    const Tensor up = ws.tensor(hidden.rows, hidden.cols);
    layer.gate_clamps.matmul(*device_, ws, hidden, layer.gate, x, {.bias = layer.gate_bias});
    layer.up_clamps.matmul(*device_, ws, up, layer.up, x, {.bias = layer.up_bias});
    device_->activate(hidden, hidden, spec_.activation);
    device_->multiply(hidden, hidden, up);
  } else {
    layer.up_clamps.matmul(*device_, ws, hidden, layer.up, x, {.bias = layer.up_bias});
    device_->activate(hidden, hidden, spec_.activation);
  }
}

void Vit::feed_forward(Workspace& ws, Tensor x, const Layer& layer) const {
  const Workspace::Scope scope(ws);
  const std::int64_t most = std::min(x.rows, kFeedForwardRows);
  const Tensor normed = ws.tensor(most, x.cols), hidden = ws.tensor(most, layer.up.rows);
  const Residual how = residual(layer.ls2, layer.ln2, layer.ln2_bias, layer.ffn_post_norm);
  const FeedForward block{layer.gate, layer.up, layer.down, spec_.activation, layer.gate_bias, layer.up_bias};
  for (std::int64_t begin = 0; begin < x.rows; begin += most) {
    const std::int64_t n = std::min(most, x.rows - begin);
    const Tensor rows = x.rows_at(begin, n), f = hidden.rows_at(0, n);
    const Tensor h = spec_.norm_after ? rows : normed.rows_at(0, n);
    if (!spec_.norm_after) norm(h, rows, layer.ln2, layer.ln2_bias);
    if (layer.clamped) {
      expand_clamped(ws, f, layer, h);
      add_product(ws, rows, layer.down, layer.down_bias, how, f, layer.down_clamps);
      continue;
    }
    add_residual(ws, rows, how, true, [&](Tensor y, bool accumulate) {
      device_->feed_forward(y, block, h, f, {.bias = layer.down_bias, .accumulate = accumulate});
    });
  }
}

}  // namespace mtmd::encoders
