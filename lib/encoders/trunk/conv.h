// Convolutions over a grid of features.
#pragma once

#include <string>

#include "encoders/trunk/rows.h"
#include "engine/gguf/weights.h"

namespace mtmd::encoders {

/// A square kernel with equal strides and zero padding on all sides.
struct ConvSpec {
  int in = 0, out = 0;  ///< channels; out 0: the file's choice
  int kernel = 1, stride = 1, pad = 0;
  bool round_f16 = true;  ///< inputs and kernels are rounded to f16 as in the reference's convolutions; sums are f32
};

/// `name`.weight [out, in, kernel, kernel] and, where the file has it, `name`.bias [out].
class Conv2d {
 public:
  Conv2d() = default;
  /// Throws Error(model) for a missing or wrongly shaped kernel.
  Conv2d(gguf::Weights& weights, Device& device, const std::string& name, const ConvSpec& spec);

  int out() const noexcept { return spec_.out; }
  /// Columns or rows that come out of so many that go in (at least `kernel` - 2 `pad`).
  int side(int n) const noexcept { return (n + 2 * spec_.pad - spec_.kernel) / spec_.stride + 1; }
  /// x: [rows * columns, in] raster -> y: [side(rows) * side(columns), out] raster
  void run(Workspace& ws, Tensor y, Tensor x, int columns, int rows) const;

 private:
  Device* device_ = nullptr;
  ConvSpec spec_;
  Table rounded_;  // keeps what kernel_ views unless that is the file's own
  Weight kernel_;  // [out, in * kernel * kernel]
  Vector bias_;    // [out], optional
};

}  // namespace mtmd::encoders
