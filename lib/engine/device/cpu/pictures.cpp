// im2col and pooling.
#include <algorithm>
#include <cstring>

#include "engine/device/cpu/cpu_device.h"
#include "engine/quant/quant.h"

namespace mtmd {
namespace {

/// One output position: channel by channel, the kernel's rows and columns; zeros outside the picture.
void unfold_one(float* to, Tensor x, const Unfold2d& how, std::int64_t top, std::int64_t left) {
  const std::int64_t area = std::int64_t{how.kernel_h} * how.kernel_w;
  for (std::int64_t i = 0; i < how.kernel_h; ++i) {
    for (std::int64_t j = 0; j < how.kernel_w; ++j) {
      const std::int64_t row = top + i, column = left + j;
      float* cell = to + i * how.kernel_w + j;
      if (row < 0 || row >= how.height || column < 0 || column >= how.width) {
        for (std::int64_t c = 0; c < how.channels; ++c) cell[c * area] = 0.0f;
      } else {
        const float* from = x.row(row * how.width + column);
        for (std::int64_t c = 0; c < how.channels; ++c) cell[c * area] = from[c];
      }
    }
  }
}

/// In place, through a piece of stack.
void round_to_f16(const cpu::OpKernels& ops, float* values, std::int64_t n) {
  constexpr std::int64_t kPiece = 256;
  std::uint16_t half[kPiece];
  for (std::int64_t i = 0; i < n; i += kPiece) {
    const std::int64_t count = std::min(kPiece, n - i);
    ops.f32_to_f16(half, values + i, count);
    ops.f16_to_f32(values + i, half, count);
  }
}

}  // namespace

void CpuDevice::do_unfold(Tensor y, Tensor x, const Unfold2d& how, bool round_f16) {
  const std::int64_t out_w = how.out_width();
  for_rows(y.rows, y.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t out = begin; out < end; ++out) {
      unfold_one(y.row(out), x, how, out / out_w * how.stride_h - how.pad_h, out % out_w * how.stride_w - how.pad_w);
      if (round_f16) round_to_f16(ops(), y.row(out), y.cols);
    }
  });
}

void CpuDevice::do_average_pool(Tensor y, Tensor x, std::int32_t, std::int32_t width, std::int32_t s) {
  const std::int64_t out_w = width / s;
  for_rows(y.rows, y.cols * s * s, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t cell = begin; cell < end; ++cell) {
      const std::int64_t top = cell / out_w * s, left = cell % out_w * s;
      float* to = y.row(cell);
      std::memset(to, 0, static_cast<std::size_t>(y.cols) * sizeof(float));
      for (std::int64_t i = 0; i < s; ++i)
        for (std::int64_t j = 0; j < s; ++j) ops().add(to, to, x.row((top + i) * width + left + j), y.cols);
      ops().scale(to, to, 1.0f / static_cast<float>(s * s), y.cols);
    }
  });
}

}  // namespace mtmd
