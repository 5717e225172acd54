// From patches to tokens where every patch is normalised by itself before those of a token are joined: what
// PaddleOCR-VL, dots.ocr and Kimi-VL have in common.
#pragma once

#include <string>

#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {

/// mm.input_norm per patch, the patches of a token side by side, then the bridge.
class JoinedPatches {
 public:
  JoinedPatches() = default;
  JoinedPatches(gguf::Weights& weights, std::int64_t n_embd, int merge, float eps, const std::string& first,
                const std::string& second, Activation activation)
      : norm_(weights.vector("mm.input_norm.weight", n_embd)),
        norm_bias_(weights.vector_if("mm.input_norm.bias", n_embd)),
        eps_(eps),
        bridge_(weights, first, second, n_embd * merge * merge, activation) {}

  int out() const noexcept { return bridge_.out(); }
  /// y: [tokens, out]; x: [tokens * merge * merge, n_embd] in block order, overwritten.
  void run(Device& device, Workspace& ws, Tensor y, Tensor x) const {
    device.layer_norm(x, x, norm_, norm_bias_, eps_);
    bridge_.run(device, ws, y, x.reshaped(y.rows, x.size() / y.rows));
  }

 private:
  Vector norm_, norm_bias_;  // [n_embd]
  float eps_ = 0.0f;
  TwoLayer bridge_;
};

}  // namespace mtmd::encoders
