#include "engine/decoder/forward.h"

#include <algorithm>

#include "engine/device/null_device.h"

namespace mtmd::decoder {

Forward::Forward(const Model& model, Device& device) : model_(model), spec_(model.spec), device_(device), ws_(device) {
  memory_.tables.resize(spec_.ropes.size());
}

Tensor Forward::run(const Batch& batch, const Plan& plan, kv::Cache& cache) {
  reserve(batch, plan);
  return passes(batch, plan, cache);
}

Tensor Forward::passes(const Batch& batch, const Plan& plan, kv::Cache& cache) {
  const Tensor y = logits_memory(plan.n_wanted);
  std::int64_t n_done = 0, n_embeddings = 0;
  for (const Ubatch& at : plan.ubatches) {
    Workspace::Scope scope(ws_);
    Pass pass{model_, spec_, device_, ws_, batch, plan, cache, at, n_embeddings, memory_};
    memory_.kept.clear();
    for (std::int64_t i = at.begin; i < at.end; ++i)
      if (batch.want_logits[i]) memory_.kept.push_back(i - at.begin);
    const std::span positions(batch.positions.data() + at.begin, pass.rows());
    for (std::size_t r = 0; r < spec_.ropes.size(); ++r) fill_rope_table(memory_.tables[r], spec_.ropes[r], positions);

    Tensor x = ws_.tensor(pass.rows(), spec_.n_embd);
    pass.last_x = ws_.tensor(std::ssize(memory_.kept), spec_.n_embd);
    embed(x, pass);
    if (model_.prepare) model_.prepare(pass, x);
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) layer(i, x, pass);
    logits(y.rows_at(n_done, x.rows), x, pass);
    n_done += x.rows;
    n_embeddings += std::count(batch.tokens.begin() + at.begin, batch.tokens.begin() + at.end, -1);
  }
  return y;
}

void Forward::embed(Tensor x, const Pass& pass) const {
  std::int64_t next = pass.first_embedding;
  pass.for_each_run([&](std::int64_t begin, std::int64_t end, bool is_token) {
    const Tensor part = x.rows_at(begin, end - begin);
    if (is_token) {
      device_.get_rows(part, model_.token_embd, pass.tokens(begin, end));
      if (spec_.embedding_scale != 1.0f) device_.scale(part, part, spec_.embedding_scale);
    } else {
      device_.copy(part, pass.batch.embeddings.rows_at(next, end - begin).cols_at(0, spec_.n_embd));
      next += end - begin;
    }
  });
}

void Forward::layer(std::size_t i, Tensor& x, Pass& pass) {
  const LayerWeights& w = model_.layers[i];
  Workspace::Scope scope(ws_);
  if (spec_.parallel) {
    const Tensor h = pass.normed(x, w.attn_norm);
    const Tensor g = w.ffn_norm.empty() ? h : pass.normed(x, w.ffn_norm);
    w.mix(pass, i, x, h);
    if (x.rows > 0) w.feed_forward(pass, i, x, pass.kept(i, g));
  } else {
    {
      Workspace::Scope half(ws_);
      w.mix(pass, i, x, pass.normed(x, w.attn_norm));
    }
    if (x.rows > 0) w.feed_forward(pass, i, x, pass.normed(x, w.ffn_norm));
  }
  if (static_cast<std::int64_t>(i) < spec_.n_deepstack) add_deepstack(x, i, pass);
}

void Forward::add_deepstack(Tensor x, std::size_t i, const Pass& pass) const {
  std::int64_t next = pass.first_embedding;
  pass.for_each_run([&](std::int64_t begin, std::int64_t end, bool is_token) {
    if (is_token) return;
    const Tensor part = x.rows_at(begin, end - begin);
    const auto column = static_cast<std::int64_t>(i + 1) * spec_.n_embd;
    device_.add(part, part, pass.batch.embeddings.rows_at(next, end - begin).cols_at(column, spec_.n_embd));
    next += end - begin;
  });
}

void Forward::logits(Tensor y, Tensor x, const Pass& pass) {
  if (x.rows == 0) return;
  pass.norm(x, x, model_.output_norm);
  device_.matmul(y, model_.output, x, {.bias = model_.output_bias});
  if (spec_.logit_scale != 1.0f) device_.scale(y, y, spec_.logit_scale);
  if (spec_.logit_softcap > 0.0f) device_.softcap(y, y, spec_.logit_softcap);
}

void Forward::reserve(const Batch& batch, const Plan& plan) {
  std::int64_t rows = 0, wanted = 0;
  for (const Ubatch& u : plan.ubatches) {
    rows = std::max(rows, u.end - u.begin);
    wanted = std::max<std::int64_t>(
        wanted, std::count(batch.want_logits.begin() + u.begin, batch.want_logits.begin() + u.end, true));
  }
  if (rows <= reserved_rows_ && wanted <= reserved_wanted_) return;
  reserved_rows_ = std::max(rows, reserved_rows_);
  reserved_wanted_ = std::max(wanted, reserved_wanted_);
  ws_.reserve(workspace_bytes(reserved_rows_, reserved_wanted_));
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

std::size_t Forward::workspace_bytes(std::int64_t rows, std::int64_t wanted) const {
  const auto device = make_null_device();
  const auto n = static_cast<std::int32_t>(rows);
  kv::Cache cache(*device, kv_layers(spec_), {.type = DType::F32, .n_ctx = n});
  Batch batch;
  batch.add_text(0, std::vector<std::int32_t>(static_cast<std::size_t>(rows)), 0, false);
  std::fill(batch.want_logits.end() - wanted, batch.want_logits.end(), true);
  Plan plan;
  plan.append(batch, cache);
  plan.cut(batch, n);
  Forward grown(model_, *device), exact(model_, *device);
  grown.passes(batch, plan, cache);
  exact.ws_.reserve(grown.ws_.peak_bytes());  // in one stretch: without the gaps that a growing arena has
  exact.passes(batch, plan, cache);
  return exact.ws_.peak_bytes();
}

}  // namespace mtmd::decoder
