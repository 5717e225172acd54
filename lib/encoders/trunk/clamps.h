// Ranges that a model was trained to keep its activations in, around single matrices (Gemma 4).
#pragma once

#include <limits>
#include <string>

#include "engine/device/device.h"
#include "engine/gguf/weights.h"

namespace mtmd::encoders {

class Clamps {
 public:
  Clamps() = default;
  /// `name`.input_min, .input_max, .output_min, .output_max: one value each, where the file has them. Throws
  /// Error(model) for ranges that are empty or no numbers.
  Clamps(gguf::Weights& weights, const std::string& name);

  explicit operator bool() const noexcept { return in_.bounded() || out_.bounded(); }
  /// y = clamp(w clamp(x) + bias); options without activation and accumulation when there are clamps.
  void matmul(Device& device, Workspace& ws, Tensor y, const Weight& w, Tensor x, const MatmulOptions& options) const;

 private:
  struct Range {
    float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();
    bool bounded() const noexcept { return *this != Range{}; }
    friend bool operator==(const Range&, const Range&) = default;
  };
  static Range load(gguf::Weights& weights, const std::string& name);
  Range in_, out_;
};

}  // namespace mtmd::encoders
