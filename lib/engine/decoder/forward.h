// The forward pass of the generic decoder.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/decoder/model.h"
#include "engine/decoder/plan.h"

namespace mtmd::decoder {

class Forward {
 public:
  /// Both must outlive this object.
  Forward(const Model& model, Device& device);

  /// Runs a batch whose rows the plan has placed in the cache; see Decoder::forward.
  Tensor run(const Batch& batch, const Plan& plan, kv::Cache& cache);
  /// What a micro-batch of `rows` rows takes of which `wanted` want logits: tensors in the workspace, and the logits.
  std::size_t workspace_bytes(std::int64_t rows, std::int64_t wanted) const noexcept;
  std::size_t logits_bytes(std::int64_t wanted) const noexcept;
  std::size_t peak_bytes() const noexcept { return ws_.peak_bytes() + logits_bytes_; }

 private:
  /// The rows being computed. Rows are counted within the micro-batch.
  struct Rows {
    const Batch& batch;
    const Plan& plan;
    const kv::Cache& cache;
    Ubatch at;
    std::int64_t first_embedding;  ///< row of batch.embeddings
    std::int64_t n() const noexcept { return at.end - at.begin; }
  };
  void embed(Tensor x, const Rows& rows) const;
  void layer(std::size_t i, Tensor& x, Tensor kept, const Rows& rows);
  void attention(std::size_t i, Tensor& x, Tensor kept, const Rows& rows);
  void feed_forward(std::size_t i, Tensor x);
  void experts(std::size_t i, Tensor x, Tensor h);
  void logits(Tensor y, Tensor x);

  void rotate(Tensor q, Tensor k, const LayerSpec& s, const Rows& rows) const;
  void add_residual(Tensor x, const Weight& w, Vector bias, Vector post_norm, Tensor h);
  void add_deepstack(Tensor x, std::size_t i, const Rows& rows) const;
  Tensor keep(Tensor kept, Tensor x) const;
  void look(const LayerSpec& s, const Rows& rows, bool only_kept);
  void reserve(const Batch& batch, const Plan& plan);
  Tensor logits_memory(std::int64_t rows);

  const Model& model_;
  const DecoderSpec& spec_;
  Device& device_;
  Workspace ws_;
  std::shared_ptr<std::byte[]> logits_;
  std::size_t logits_bytes_ = 0;
  // Per micro-batch; members only to keep their memory.
  std::vector<RopeTable> tables_;   // one per spec_.ropes
  std::vector<std::int64_t> kept_;  // rows whose logits are wanted
  std::vector<PagedQuery> queries_;
  std::vector<std::int32_t> chosen_;  // experts
  std::vector<float> chosen_weights_;
};

}  // namespace mtmd::decoder
