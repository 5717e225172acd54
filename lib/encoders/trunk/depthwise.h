// Convolutions of each channel by itself.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/tensor/tensor.h"

namespace mtmd::encoders {

struct DepthwiseSpec {
  std::int32_t channels = 0, kernel_h = 1, kernel_w = 1;
  std::int32_t stride = 1;                  ///< both ways
  std::int32_t before_h = 0, before_w = 0;  ///< zeros above and left of the grid; below and right as many as asked for
};

/// Sums are f32, nothing is rounded.
class Depthwise {
 public:
  Depthwise() = default;
  /// kernel: [channels, kernel_h * kernel_w]; bias: [channels] or empty.
  Depthwise(Vector kernel, Vector bias, const DepthwiseSpec& spec);

  /// x: [rows * columns, channels] raster -> y: [cells, channels] raster; y must not overlap x.
  void run(Tensor y, int out_columns, Tensor x, int rows, int columns) const;
  /// Over time alone: x [n, channels] -> y [n, channels].
  void run(Tensor y, Tensor x) const;

 private:
  DepthwiseSpec spec_;
  std::vector<float> taps_;  // [kernel_h * kernel_w, channels]
  Vector bias_;
};

}  // namespace mtmd::encoders
