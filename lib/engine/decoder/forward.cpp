#include "engine/decoder/forward.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "engine/base/checked.h"
#include "engine/base/error.h"
#include "engine/decoder/routing.h"

namespace mtmd::decoder {
namespace {

/// [n, heads * size] as [n * heads, size]
Tensor heads(Tensor x, std::int32_t size) { return x.reshaped(x.size() / size, size); }

/// Calls f(begin, end, is_token) for each run of token rows and of embedding rows, counted from the first row.
template <class F>
void for_each_run(const Batch& b, Ubatch u, F f) {
  for (std::int64_t i = u.begin, end = u.begin; i < u.end; i = end) {
    const bool is_token = b.tokens[i] >= 0;
    while (end < u.end && (b.tokens[end] >= 0) == is_token) ++end;
    f(i - u.begin, end - u.begin, is_token);
  }
}

}  // namespace

Forward::Forward(const Model& model, Device& device) : model_(model), spec_(model.spec), device_(device), ws_(device) {
  tables_.resize(spec_.ropes.size());
}

Tensor Forward::run(const Batch& batch, const Plan& plan, kv::Cache& cache) {
  const Tensor y = logits_memory(plan.n_wanted);
  std::int64_t n_done = 0, n_embeddings = 0;
  reserve(batch, plan);
  for (const Ubatch& at : plan.ubatches) {
    Workspace::Scope scope(ws_);
    const Rows rows{batch, plan, cache, at, n_embeddings};
    kept_.clear();
    for (std::int64_t i = at.begin; i < at.end; ++i)
      if (batch.want_logits[i]) kept_.push_back(i - at.begin);
    const std::span positions(batch.positions.data() + at.begin, rows.n());
    for (std::size_t r = 0; r < spec_.ropes.size(); ++r) tables_[r] = rope_table(spec_.ropes[r], positions);

    Tensor x = ws_.tensor(rows.n(), spec_.n_embd);
    const Tensor kept = ws_.tensor(std::ssize(kept_), spec_.n_embd);
    embed(x, rows);
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) layer(i, x, kept, rows);
    logits(y.rows_at(n_done, x.rows), x);
    n_done += x.rows;
    n_embeddings += std::count(batch.tokens.begin() + at.begin, batch.tokens.begin() + at.end, -1);
  }
  return y;
}

void Forward::embed(Tensor x, const Rows& rows) const {
  std::int64_t next = rows.first_embedding;
  for_each_run(rows.batch, rows.at, [&](std::int64_t begin, std::int64_t end, bool is_token) {
    const Tensor part = x.rows_at(begin, end - begin);
    if (is_token) {
      device_.get_rows(part, model_.token_embd,
                       std::span(rows.batch.tokens.data() + rows.at.begin + begin, end - begin));
      if (spec_.embedding_scale != 1.0f) device_.scale(part, part, spec_.embedding_scale);
    } else {
      device_.copy(part, rows.batch.embeddings.rows_at(next, end - begin).cols_at(0, spec_.n_embd));
      next += end - begin;
    }
  });
}

/// In the last layer only K and V are needed of the rows that nobody asks about: x becomes `kept` there.
void Forward::layer(std::size_t i, Tensor& x, Tensor kept, const Rows& rows) {
  attention(i, x, kept, rows);
  if (x.rows > 0) feed_forward(i, x);
  if (static_cast<std::int64_t>(i) < spec_.n_deepstack) add_deepstack(x, i, rows);
}

void Forward::attention(std::size_t i, Tensor& x, Tensor kept, const Rows& rows) {
  Workspace::Scope scope(ws_);
  const LayerSpec& s = spec_.layers[i];
  const LayerWeights& w = model_.layers[i];
  const std::int64_t n = x.rows;

  const Tensor h = ws_.tensor(n, spec_.n_embd);
  Tensor q = ws_.tensor(n, std::int64_t{s.n_heads} * s.key_dim);
  const Tensor k = ws_.tensor(n, std::int64_t{s.n_kv_heads} * s.key_dim);
  const Tensor v = ws_.tensor(n, std::int64_t{s.n_kv_heads} * s.value_dim);
  device_.rms_norm(h, x, w.attn_norm, spec_.norm_eps);
  device_.matmul({{q, w.q, {.bias = w.q_bias}}, {k, w.k, {.bias = w.k_bias}}, {v, w.v, {.bias = w.v_bias}}}, h);
  if (!w.q_norm.empty()) device_.rms_norm(heads(q, s.key_dim), heads(q, s.key_dim), w.q_norm, spec_.norm_eps);
  if (!w.k_norm.empty()) device_.rms_norm(heads(k, s.key_dim), heads(k, s.key_dim), w.k_norm, spec_.norm_eps);
  rotate(q, k, s, rows);
  const KvLayer& kv = rows.cache.layer(i);
  device_.kv_store(kv, k, v, std::span(rows.plan.cache_rows.data() + rows.at.begin, n));

  const bool last = i + 1 == spec_.layers.size();
  if (last) {
    x = keep(kept, x);
    if (x.rows == 0) return;
    q = keep(ws_.tensor(x.rows, q.cols), q);
  }
  look(s, rows, last);
  const Tensor a = ws_.tensor(q.rows, std::int64_t{s.n_heads} * s.value_dim);
  const float scale =
      spec_.attention_scale != 0.0f ? spec_.attention_scale : 1.0f / std::sqrt(static_cast<float>(s.key_dim));
  device_.attention(a, q, kv, queries_,
                    {s.n_heads, s.n_kv_heads, s.key_dim, s.value_dim, scale, spec_.attention_softcap});
  add_residual(x, w.o, w.o_bias, w.post_attn_norm, a);
}

void Forward::rotate(Tensor q, Tensor k, const LayerSpec& s, const Rows& rows) const {
  if (s.rope >= 0) {
    device_.rope(q, s.key_dim, tables_[s.rope], spec_.ropes[s.rope].pairs);
    device_.rope(k, s.key_dim, tables_[s.rope], spec_.ropes[s.rope].pairs);
  }
  if (spec_.attention_temperature == 0.0f) return;
  for (std::int64_t r = 0; r < q.rows; ++r) {
    const std::int32_t p = rows.batch.positions[rows.at.begin + r].t / spec_.temperature_context;
    if (p > 0)
      device_.scale(q.rows_at(r, 1), q.rows_at(r, 1),
                    1.0f + spec_.attention_temperature * std::log1p(static_cast<float>(p)));
  }
}

/// Which cached tokens each query sees.
void Forward::look(const LayerSpec& s, const Rows& rows, bool only_kept) {
  queries_.clear();
  const auto add = [&](std::int64_t r) {
    const std::int64_t row = rows.at.begin + r;
    const std::int32_t begin = s.window > 0 ? std::max(0, rows.plan.index[row] + 1 - s.window) : 0;
    queries_.push_back({rows.cache.blocks(rows.batch.sequences[row]), {begin, rows.plan.visible[row]}});
  };
  if (only_kept) {
    for (std::int64_t r : kept_) add(r);
  } else {
    for (std::int64_t r = 0; r < rows.n(); ++r) add(r);
  }
}

/// The rows kept_ of x, or x itself when these are all.
Tensor Forward::keep(Tensor kept, Tensor x) const {
  if (kept.rows == x.rows) return x;
  for (std::int64_t r = 0; r < kept.rows; ++r) device_.copy(kept.rows_at(r, 1), x.rows_at(kept_[r], 1));
  return kept;
}

void Forward::feed_forward(std::size_t i, Tensor x) {
  Workspace::Scope scope(ws_);
  const LayerSpec& s = spec_.layers[i];
  const LayerWeights& w = model_.layers[i];
  const Tensor h = ws_.tensor(x.rows, spec_.n_embd);
  device_.rms_norm(h, x, w.ffn_norm, spec_.norm_eps);
  if (s.moe) return experts(i, x, h);
  const Tensor g = ws_.tensor(x.rows, s.n_ff);
  device_.gated(g, w.gate, w.up, h, spec_.activation, w.gate_bias, w.up_bias);
  add_residual(x, w.down, w.down_bias, w.post_ffn_norm, g);
}

void Forward::experts(std::size_t i, Tensor x, Tensor h) {
  const LayerWeights& w = model_.layers[i];
  const Tensor scores = ws_.tensor(h.rows, spec_.n_experts);
  device_.matmul(scores, w.router, h);
  route(scores, spec_.n_experts_used, spec_.residual_scale, chosen_, chosen_weights_);
  const MoeRouting routing{spec_.n_experts_used, chosen_, chosen_weights_};
  if (w.post_ffn_norm.empty()) return device_.moe(x, w.experts, routing, h);
  const Tensor y = ws_.tensor(x.rows, x.cols);
  device_.scale(y, h, 0.0f);
  device_.moe(y, w.experts, routing, h);
  device_.rms_norm(y, y, w.post_ffn_norm, spec_.norm_eps);
  device_.add(x, x, y);
}

/// x += residual_scale * post_norm(w h + bias)
void Forward::add_residual(Tensor x, const Weight& w, Vector bias, Vector post_norm, Tensor h) {
  if (post_norm.empty() && spec_.residual_scale == 1.0f)
    return device_.matmul(x, w, h, {.bias = bias, .accumulate = true});
  const Tensor y = ws_.tensor(x.rows, x.cols);
  device_.matmul(y, w, h, {.bias = bias});
  if (!post_norm.empty()) device_.rms_norm(y, y, post_norm, spec_.norm_eps);
  if (spec_.residual_scale != 1.0f) device_.scale(y, y, spec_.residual_scale);
  device_.add(x, x, y);
}

void Forward::add_deepstack(Tensor x, std::size_t i, const Rows& rows) const {
  std::int64_t next = rows.first_embedding;
  for_each_run(rows.batch, rows.at, [&](std::int64_t begin, std::int64_t end, bool is_token) {
    if (is_token) return;
    const Tensor part = x.rows_at(begin, end - begin);
    const auto column = static_cast<std::int64_t>(i + 1) * spec_.n_embd;
    device_.add(part, part, rows.batch.embeddings.rows_at(next, end - begin).cols_at(column, spec_.n_embd));
    next += end - begin;
  });
}

void Forward::logits(Tensor y, Tensor x) {
  if (x.rows == 0) return;
  device_.rms_norm(x, x, model_.output_norm, spec_.norm_eps);
  device_.matmul(y, model_.output, x);
  if (spec_.logit_scale != 1.0f) device_.scale(y, y, spec_.logit_scale);
  if (spec_.logit_softcap > 0.0f) device_.softcap(y, y, spec_.logit_softcap);
}

/// One stretch of memory for the largest micro-batch, so that the arena never grows in the middle of a pass.
void Forward::reserve(const Batch& batch, const Plan& plan) {
  std::size_t bytes = 0;
  for (const Ubatch& u : plan.ubatches) {
    const auto wanted = std::count(batch.want_logits.begin() + u.begin, batch.want_logits.begin() + u.end, true);
    bytes = std::max(bytes, workspace_bytes(u.end - u.begin, wanted));
  }
  ws_.reset();
  ws_.tensor(1, static_cast<std::int64_t>(bytes / sizeof(float)));
  ws_.reset();
}

Tensor Forward::logits_memory(std::int64_t rows) {
  const std::size_t bytes = logits_bytes(rows);
  if (bytes > logits_bytes_) {
    logits_.reset();
    logits_bytes_ = 0;
    logits_ = device_.allocate(bytes);
    logits_bytes_ = bytes;
  }
  return {reinterpret_cast<float*>(logits_.get()), rows, spec_.n_vocab};
}

std::size_t Forward::logits_bytes(std::int64_t wanted) const noexcept {
  return static_cast<std::size_t>(wanted) * static_cast<std::size_t>(spec_.n_vocab) * sizeof(float);
}

std::size_t Forward::workspace_bytes(std::int64_t rows, std::int64_t wanted) const noexcept {
  const auto size = [](std::int64_t n, std::int64_t cols) {
    return round_up(static_cast<std::size_t>(n * cols) * sizeof(float), std::size_t{64});
  };
  const std::size_t h = size(rows, spec_.n_embd);
  std::size_t widest = 0;
  for (std::size_t i = 0; i < spec_.layers.size(); ++i) {
    const LayerSpec& s = spec_.layers[i];
    const LayerWeights& w = model_.layers[i];
    const bool scaled = spec_.residual_scale != 1.0f;
    const std::size_t qkv = size(rows, std::int64_t{s.n_heads} * s.key_dim) +
                            size(rows, std::int64_t{s.n_kv_heads} * s.key_dim) +
                            size(rows, std::int64_t{s.n_kv_heads} * s.value_dim);
    const std::size_t a = size(rows, std::int64_t{s.n_heads} * s.value_dim);
    const std::size_t attention = h + qkv + a + (scaled || !w.post_attn_norm.empty() ? h : 0);
    const bool separate = !w.post_ffn_norm.empty() || (scaled && !s.moe);
    const std::size_t ff = h + size(rows, s.moe ? spec_.n_experts : s.n_ff) + (separate ? h : 0);
    // The last layer also holds the rows of q that are kept.
    const bool last = i + 1 == spec_.layers.size() && wanted < rows;
    widest = std::max({widest, attention + (last ? size(wanted, std::int64_t{s.n_heads} * s.key_dim) : 0), ff});
  }
  return h + size(wanted, spec_.n_embd) + widest;
}

}  // namespace mtmd::decoder
