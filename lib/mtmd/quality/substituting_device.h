// A device on which a model runs with other weights than its file has: what a quantised model would do, without the
// file.
#pragma once

#include <unordered_map>
#include <vector>

#include "mtmd/quality/forwarding_device.h"
#include "mtmd/quality/weight_names.h"

namespace mtmd::quality {

/// The bytes of one tensor in another type.
struct Substitute {
  DType type{};
  std::vector<std::byte> bytes;
};

class SubstitutingDevice final : public ForwardingDevice {
 public:
  /// `file` is the model that will run on this device.
  SubstitutingDevice(Device& inner, const gguf::File& file) : ForwardingDevice(inner), names_(file) {}

  /// From now on `tensor` (of the file) computes with `substitute`, which has all its values.
  void set(const gguf::TensorInfo& tensor, Substitute substitute) { substitutes_[&tensor] = std::move(substitute); }
  /// The file's own weights again.
  void clear() noexcept { substitutes_.clear(); }

 protected:
  void do_matmul(std::span<const Product> products, Tensor x) override;
  void do_gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act, Vector gate_bias,
                Vector up_bias) override;
  void do_moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x) override;
  void do_get_rows(Tensor y, const Weight& w, std::span<const std::int32_t> ids) override;

 private:
  Weight replaced(const Weight& w) const noexcept;

  WeightNames names_;
  std::unordered_map<const gguf::TensorInfo*, Substitute> substitutes_;
};

}  // namespace mtmd::quality
