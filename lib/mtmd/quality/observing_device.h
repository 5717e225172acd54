// A device that computes on another one and keeps, for every weight matrix of a model, the sums of the squared inputs.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "mtmd/quality/forwarding_device.h"
#include "mtmd/quality/imatrix.h"
#include "mtmd/quality/weight_names.h"

namespace mtmd::quality {

struct ObserveOptions {
  bool output = false;  ///< the output matrix, too (the tied one under the name of token_embd.weight)
};

class ObservingDevice final : public ForwardingDevice {
 public:
  /// `file` is the model that will run on this device; weights of other files are computed with and not looked at.
  ObservingDevice(Device& inner, const gguf::File& file, const ObserveOptions& options);
  ~ObservingDevice() override;

  /// Of the next rows that reach the output matrix, the logits of the first `n` are not wanted: they are not computed.
  void skip_logits(std::int64_t n) noexcept { skip_ = n; }
  /// What was seen so far: entries only. Throws Error(failed), naming the tensor, when an input was not finite.
  ImportanceMatrix seen() const;

 protected:
  void do_matmul(std::span<const Product> products, Tensor x) override;
  void do_gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act, Vector gate_bias,
                Vector up_bias) override;
  /// Runs as the products it consists of, expert by expert: so that the input of the last one is seen.
  void do_moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x) override;

 private:
  struct Sums;
  void observe(std::span<const Weight> weights, Tensor x, std::int64_t expert);
  Sums* sums_of(const Weight& w, std::int64_t expert);

  WeightNames names_;
  ObserveOptions options_;
  const std::byte* output_ = nullptr;  ///< data of the output matrix
  std::int64_t skip_ = 0;
  std::unordered_map<const gguf::TensorInfo*, std::unique_ptr<Sums>> sums_;
  std::vector<double> squares_;
  std::vector<float> gathered_, hidden_, out_;
};

}  // namespace mtmd::quality
