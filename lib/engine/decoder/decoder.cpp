#include "engine/decoder/decoder.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/decoder/forward.h"
#include "engine/decoder/model.h"
#include "engine/decoder/plan.h"

namespace mtmd::decoder {
namespace {

/// What the skeleton itself relies on, whatever an architecture file says.
void check(const Facts& f, const DecoderSpec& s) {
  for (const LayerSpec& l : s.layers) {
    if (l.rope < 0) continue;
    if (s.ropes[l.rope].n_dims > l.key_dim)
      f.reject("rope.dimension_count", fmt::format("{}", s.ropes[l.rope].n_dims), fmt::format("at most {}", l.key_dim));
  }
}

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return name.starts_with(p); });
}

/// A tensor that nobody asked for means that the file is not what its architecture says: the numbers would be wrong.
void refuse_unknown_tensors(const gguf::Weights& weights, const Model& model) {
  std::vector<std::string_view> unknown = weights.unused();
  std::erase_if(unknown, [&](std::string_view name) {
    const DecoderSpec& s = model.spec;
    for (std::int32_t i = s.n_layers; i < s.n_layers + s.n_predict_layers; ++i)
      if (name.starts_with("blk." + std::to_string(i) + ".")) return true;
    return starts_with_any(name, {"v.", "a.", "mm."});  // encoders stored in the same file
  });
  if (unknown.empty()) return;
  fail(ErrorCategory::model,
       "{}: tensor '{}'{} is not part of architecture '{}' as it is known here; results would be wrong",
       weights.file().metadata().file(), unknown[0],
       unknown.size() > 1 ? fmt::format(" (and {} more)", unknown.size() - 1) : "", model.spec.architecture);
}

Model load(const gguf::File& file, gguf::Weights& weights, const Options& options) {
  Model model;
  model.spec = read_spec(file, options.n_ctx);
  find_architecture(file).load(model, weights);
  refuse_unknown_tensors(weights, model);
  return model;
}

}  // namespace

DecoderSpec read_spec(const gguf::File& file, std::int32_t n_ctx) {
  const Architecture& architecture = find_architecture(file);
  const Facts facts(file, n_ctx);
  DecoderSpec spec = architecture.describe(facts);
  check(facts, spec);
  return spec;
}

std::vector<kv::LayerShape> kv_layers(const DecoderSpec& spec) {
  std::vector<kv::LayerShape> shapes;
  for (const LayerSpec& l : spec.layers) {
    if (l.state_floats > 0)
      shapes.push_back({0, 0, l.state_floats});
    else if (l.kv_layer >= 0)
      shapes.push_back({});
    else if (l.state_cols > 0)
      shapes.push_back({l.state_cols, 0});
    else
      shapes.push_back({l.n_kv_heads * l.key_dim, l.n_kv_heads * l.value_dim});
  }
  return shapes;
}

struct Decoder::Impl {
  Impl(const gguf::File& file, Device& device, const Options& o)
      : options(o), weights(file), model(load(file, weights, o)), forward(model, device) {}

  void check(const Batch& batch) const;

  Options options;
  gguf::Weights weights;
  Model model;
  Plan plan;
  Forward forward;
};

/// The ids of a prompt may come from anywhere.
void Decoder::Impl::check(const Batch& batch) const {
  const DecoderSpec& s = model.spec;
  std::int64_t n_embeddings = 0;
  for (std::int32_t id : batch.tokens) {
    if (id < -1 || id >= s.n_vocab)
      fail(ErrorCategory::input, "token {} is not in the vocabulary of {} tokens", id, s.n_vocab);
    n_embeddings += id == -1;
  }
  const std::int64_t cols = std::int64_t{s.n_embd} * (1 + s.n_deepstack);
  const Tensor& e = batch.embeddings;
  if (n_embeddings != e.rows || (n_embeddings > 0 && e.cols != cols))
    fail(ErrorCategory::internal, "batch: embeddings [{}, {}], expected [{}, {}]", e.rows, e.cols, n_embeddings, cols);
}

Decoder::Decoder(const gguf::File& file, Device& device, const Options& options) {
  if (options.n_ubatch < 1 || options.n_ubatch > 1 << 20)
    fail(ErrorCategory::usage, "a micro-batch (-ub) of {} tokens, expected 1 to {}", options.n_ubatch, 1 << 20);
  impl_ = std::make_unique<Impl>(file, device, options);
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

const DecoderSpec& Decoder::spec() const noexcept { return impl_->model.spec; }

std::vector<kv::LayerShape> Decoder::kv_layers() const { return decoder::kv_layers(spec()); }

Tensor Decoder::forward(const Batch& batch, kv::Cache& cache) {
  impl_->check(batch);
  Plan& plan = impl_->plan;
  plan.append(batch, cache);
  try {
    plan.cut(batch, impl_->options.n_ubatch);
    return impl_->forward.run(batch, plan, cache);
  } catch (...) {
    plan.undo(cache);
    throw;
  }
}

std::size_t Decoder::scratch_bytes() const {
  const Forward& f = impl_->forward;
  return f.workspace_bytes(impl_->options.n_ubatch, 1) + f.logits_bytes(1);
}

std::size_t Decoder::scratch_peak_bytes() const noexcept { return impl_->forward.peak_bytes(); }

}  // namespace mtmd::decoder
