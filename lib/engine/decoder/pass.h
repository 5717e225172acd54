// One micro-batch on its way through the layers: what both halves of a layer are built from, the skeleton's own and
// those in architecture files.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/decoder/model.h"
#include "engine/decoder/plan.h"
#include "engine/decoder/routing.h"

namespace mtmd::decoder {

/// Vectors of a pass that keep their memory from one to the next.
struct PassMemory {
  std::vector<RopeTable> tables;         ///< one per DecoderSpec::ropes
  std::vector<std::int64_t> kept;        ///< rows whose logits are wanted, counted within the micro-batch
  std::vector<PagedQuery> queries;       ///< what look() returns
  Routed routed;                         ///< experts
  std::vector<std::int32_t> one_choice;  ///< of each token, and its weight
  std::vector<float> one_weight;
};

struct Pass {
  const Model& model;
  const DecoderSpec& spec;
  Device& device;
  Workspace& ws;
  const Batch& batch;
  const Plan& plan;
  const kv::Cache& cache;
  Ubatch at;                     ///< rows of the batch that are computed
  std::int64_t first_embedding;  ///< first row of batch.embeddings
  PassMemory& memory;
  Tensor last_x = {};    ///< [kept rows, n_embd]: x of the last layer
  Tensor prepared = {};  ///< what Model::prepare leaves for the layers

  std::int64_t rows() const noexcept { return at.end - at.begin; }
  bool is_last(std::size_t layer) const noexcept { return layer + 1 == spec.layers.size(); }

  /// Calls f(begin, end, is_token) for each run of token rows and of embedding rows, counted within the micro-batch.
  template <class F>
  void for_each_run(F f) const {
    for (std::int64_t i = at.begin, end = at.begin; i < at.end; i = end) {
      const bool is_token = batch.tokens[i] >= 0;
      while (end < at.end && (batch.tokens[end] >= 0) == is_token) ++end;
      f(i - at.begin, end - at.begin, is_token);
    }
  }
  /// Ids of the token rows [begin, end) of the micro-batch.
  std::span<const std::int32_t> tokens(std::int64_t begin, std::int64_t end) const {
    return std::span(batch.tokens).subspan(at.begin + begin, end - begin);
  }

  /// The norm of x in new memory; x itself where there is no norm.
  Tensor normed(Tensor x, const Norm& w);
  void norm(Tensor y, Tensor x, const Norm& w) const;
  /// In the last layer only keys and values are needed of the rows that nobody asks about: after they are stored x and
  /// q go on with the others alone. x may have no rows then; q gets new memory.
  void keep(std::size_t layer, Tensor& x, Tensor& q);
  /// The same rows of something else.
  Tensor kept(std::size_t layer, Tensor t);

  /// Rotates every head of x [rows, heads * head_dim] as the layer does; nothing where it does not.
  void rotate(Tensor x, std::int32_t head_dim, const LayerSpec& s) const;
  /// Keys and values of all rows into the layer's cache. v has no columns where the cache has no values.
  void store(std::size_t layer, Tensor k, Tensor v) const;
  /// Which cached tokens each row sees, the kept ones in the last layer. Valid until the next call.
  std::span<const PagedQuery> look(std::size_t layer) const;
  /// Attention of q [rows or kept rows, heads * key_dim] over the layer's cache, in new memory.
  Tensor attend(std::size_t layer, Tensor q);

  /// x += residual_scale * post_norm(w h + bias)
  void add_residual(Tensor x, const Weight& w, Vector bias, const Norm& post_norm, Tensor h);
  /// The same of what `product` computes: product(y, false) writes y; where nothing stands between, product(x, true)
  /// adds to x.
  template <std::invocable<Tensor, bool> F>
  void add_residual(Tensor x, const Norm& post_norm, const F& product) {
    if (post_norm.empty() && spec.residual_scale == 1.0f) return product(x, true);
    const Tensor y = ws.tensor(x.rows, x.cols);
    product(y, false);
    add_residual(x, post_norm, y);
  }
  /// x += residual_scale * post_norm(y); y is overwritten.
  void add_residual(Tensor x, const Norm& post_norm, Tensor y) const;
  /// New memory full of zeros.
  Tensor zeros(std::int64_t n, std::int64_t cols);
};

/// y += the experts' and the shared expert's answer to h; the router reads `router_input`.
void add_experts(Pass& pass, std::size_t layer, Tensor y, Tensor h, Tensor router_input);

/// Norms the heads of q and k as the layer has it.
void norm_heads(Pass& pass, const Vector& w, HeadNorm kind, Tensor x, std::int32_t head_dim);

/// A layer's weights that only its block knows.
template <class T>
const T& own(const Pass& pass, std::size_t layer) {
  return static_cast<const T&>(*pass.model.layers[layer].own);
}

/// [n, heads * size] as [n * heads, size]
inline Tensor heads(Tensor x, std::int32_t size) { return x.reshaped(x.size() / size, size); }
/// A vector as one row; only read.
inline Tensor row(const Vector& v) { return {const_cast<float*>(v.data()), 1, std::ssize(v)}; }

}  // namespace mtmd::decoder
