// The forward pass of the generic decoder.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/decoder/pass.h"

namespace mtmd::decoder {

class Forward {
 public:
  /// Both must outlive this object.
  Forward(const Model& model, Device& device);

  /// Runs a batch whose rows the plan has placed in the cache; see Decoder::forward.
  Tensor run(const Batch& batch, const Plan& plan, kv::Cache& cache);
  /// What a micro-batch of `rows` rows takes of which `wanted` want logits: tensors in the workspace, found by running
  /// one on a device that computes nothing; and the logits.
  std::size_t workspace_bytes(std::int64_t rows, std::int64_t wanted) const;
  std::size_t logits_bytes(std::int64_t wanted) const noexcept;
  std::size_t peak_bytes() const noexcept { return ws_.peak_bytes() + logits_bytes_; }

 private:
  Tensor passes(const Batch& batch, const Plan& plan, kv::Cache& cache);
  void embed(Tensor x, const Pass& pass) const;
  void layer(std::size_t i, Tensor& x, Pass& pass);
  void add_deepstack(Tensor x, std::size_t i, const Pass& pass) const;
  void logits(Tensor y, Tensor x, const Pass& pass);
  void reserve(const Batch& batch, const Plan& plan);
  Tensor logits_memory(std::int64_t rows);

  const Model& model_;
  const DecoderSpec& spec_;
  Device& device_;
  Workspace ws_;
  std::shared_ptr<std::byte[]> logits_;
  std::size_t logits_bytes_ = 0;
  std::int64_t reserved_rows_ = 0, reserved_wanted_ = 0;  // the workspace has room for these
  PassMemory memory_;
};

}  // namespace mtmd::decoder
