// w2 act(w1 x + b1) + b2: the commonest bridge from an encoder to a language model.
#pragma once

#include <string>

#include "engine/device/device.h"
#include "engine/gguf/weights.h"

namespace mtmd::encoders {

class TwoLayer {
 public:
  TwoLayer() = default;
  /// Names without ".weight"; biases where the file has them. The hidden and the output width are the file's choice.
  TwoLayer(gguf::Weights& weights, const std::string& first, const std::string& second, std::int64_t in,
           Activation activation);
  int out() const noexcept { return static_cast<int>(second_.rows); }
  /// y: [n, out]; x: [n, in]
  void run(Device& device, Workspace& ws, Tensor y, Tensor x) const;

 private:
  Weight first_, second_;  // [hidden, in], [out, hidden]
  Vector first_bias_, second_bias_;
  Activation activation_ = Activation::none;
};

}  // namespace mtmd::encoders
