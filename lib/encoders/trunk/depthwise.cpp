#include "encoders/trunk/depthwise.h"

#include <algorithm>
#include <cassert>

namespace mtmd::encoders {

Depthwise::Depthwise(Vector kernel, Vector bias, const DepthwiseSpec& spec)
    : spec_(spec), taps_(kernel.size()), bias_(bias) {
  const auto channels = static_cast<std::size_t>(spec.channels), n = kernel.size() / channels;
  assert(kernel.size() == channels * static_cast<std::size_t>(spec.kernel_h) * static_cast<std::size_t>(spec.kernel_w));
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < n; ++i) taps_[i * channels + c] = kernel[c * n + i];
}

void Depthwise::run(Tensor y, int out_columns, Tensor x, int rows, int columns) const {
  assert(y.rows % out_columns == 0 && x.rows == std::int64_t{rows} * columns);
  assert(y.cols == spec_.channels && x.cols == spec_.channels);
  for (std::int64_t cell = 0; cell < y.rows; ++cell) {
    float* to = y.row(cell);
    if (bias_.empty()) {
      std::fill_n(to, y.cols, 0.0f);
    } else {
      std::copy(bias_.begin(), bias_.end(), to);
    }
    const auto top = static_cast<int>(cell / out_columns) * spec_.stride - spec_.before_h;
    const auto left = static_cast<int>(cell % out_columns) * spec_.stride - spec_.before_w;
    for (int i = 0; i < spec_.kernel_h * spec_.kernel_w; ++i) {
      const int at_y = top + i / spec_.kernel_w, at_x = left + i % spec_.kernel_w;
      if (at_y < 0 || at_x < 0 || at_y >= rows || at_x >= columns) continue;
      const float* from = x.row(std::int64_t{at_y} * columns + at_x);
      const float* tap = taps_.data() + static_cast<std::ptrdiff_t>(i) * spec_.channels;
      for (std::int64_t c = 0; c < y.cols; ++c) to[c] += from[c] * tap[c];
    }
  }
}

void Depthwise::run(Tensor y, Tensor x) const { run(y, 1, x, static_cast<int>(x.rows), 1); }

}  // namespace mtmd::encoders
