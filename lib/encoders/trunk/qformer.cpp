#include "encoders/trunk/qformer.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

constexpr float kEps = 1e-12f;  ///< of all norms
constexpr int kMostBlocks = 256;

bool any_of(const gguf::File& file, const std::string& prefix) {
  return std::ranges::any_of(file.tensors(), [&](const gguf::TensorInfo& t) { return t.name.starts_with(prefix); });
}

}  // namespace

QFormer::QFormer(gguf::Weights& weights, Device& device, const QFormerSpec& spec)
    : device_(&device),
      spec_(spec),
      query_(weights.values("a.proj_query", {spec.n_queries, spec.n_embd})),
      norm_(weights, "a.proj_norm", spec.n_embd, Norm::layer, kEps) {
  for (int i = 0; i < kMostBlocks; ++i) {
    const std::string prefix = fmt::format("a.proj_blk.{}.", i);
    // A transformer of no blocks is none: the first one has to be there.
    if (i > 0 && !any_of(weights.file(), prefix)) break;
    Block block;
    block.self = load_attention(weights, prefix + "self_attn"),
    block.cross = load_attention(weights, prefix + "cross_attn");
    block.up = Projection(weights, prefix + "ffn_up", 0, spec.n_embd);
    block.down = Projection(weights, prefix + "ffn_down", spec.n_embd, block.up.out());
    block.norm = RowNorm(weights, prefix + "ffn_norm", spec.n_embd, Norm::layer, kEps);
    blocks_.push_back(std::move(block));
  }
}

QFormer::Attention QFormer::load_attention(gguf::Weights& weights, const std::string& prefix) const {
  const auto square = [&](const char* name) { return Projection(weights, prefix + name, spec_.n_embd, spec_.n_embd); };
  return {square("_q"), square("_k"), square("_v"), square("_out"),
          RowNorm(weights, prefix + "_norm", spec_.n_embd, Norm::layer, kEps)};
}

void QFormer::attend(Workspace& ws, Tensor y, Tensor x, const Attention& part, std::int64_t keys) const {
  const Workspace::Scope scope(ws);
  const Tensor q = ws.tensor(y.rows, y.cols), seen = ws.tensor(y.rows, y.cols);
  const Tensor k = ws.tensor(x.rows, y.cols), v = ws.tensor(x.rows, y.cols);
  part.q.run(*device_, ws, q, y), part.k.run(*device_, ws, k, x), part.v.run(*device_, ws, v, x);
  std::vector<KeyRange> ranges;
  for (std::int64_t i = 0; i < y.rows; ++i) {
    const auto begin = static_cast<std::int32_t>(i / spec_.n_queries * keys);
    ranges.push_back({begin, begin + static_cast<std::int32_t>(keys)});
  }
  AttentionOptions options;
  options.n_heads = options.n_kv_heads = spec_.n_heads;
  options.key_dim = options.value_dim = spec_.n_embd / spec_.n_heads;
  options.scale = 1.0f / std::sqrt(static_cast<float>(options.key_dim));
  device_->attention(seen, q, k, v, ranges, options);
  part.o.run(*device_, ws, q, seen);
  device_->add(y, y, q);
  part.norm.run(*device_, y, y);
}

void QFormer::run(Workspace& ws, Tensor y, Tensor x) const {
  assert(x.rows % spec_.window == 0 && y.rows == x.rows / spec_.window * spec_.n_queries);
  const Workspace::Scope scope(ws);
  const Tensor queries = y.rows_at(0, spec_.n_queries);
  std::copy(query_.begin(), query_.end(), queries.data);
  norm_.run(*device_, queries, queries);
  for (std::int64_t at = spec_.n_queries; at < y.rows; at += spec_.n_queries)
    device_->copy(y.rows_at(at, spec_.n_queries), queries);
  for (const Block& block : blocks_) {
    attend(ws, y, y, block.self, spec_.n_queries);
    attend(ws, y, x, block.cross, spec_.window);
    const Workspace::Scope inner(ws);
    const Tensor hidden = ws.tensor(y.rows, block.up.out()), out = ws.tensor(y.rows, y.cols);
    block.up.run(*device_, ws, hidden, y, Activation::gelu_erf);
    block.down.run(*device_, ws, out, hidden);
    device_->add(y, y, out);
    block.norm.run(*device_, y, y);
  }
}

}  // namespace mtmd::encoders
