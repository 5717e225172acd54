// im2col and pooling.
#include "engine/device/reference/reference_device.h"
#include "engine/quant/quant.h"

namespace mtmd {

void ReferenceDevice::do_unfold(Tensor y, Tensor x, const Unfold2d& how, bool round_f16) {
  for (std::int64_t out = 0; out < y.rows; ++out) {
    const std::int64_t top = out / how.out_width() * how.stride_h - how.pad_h;
    const std::int64_t left = out % how.out_width() * how.stride_w - how.pad_w;
    float* to = y.row(out);
    for (std::int32_t c = 0; c < how.channels; ++c) {
      for (std::int32_t i = 0; i < how.kernel_h; ++i) {
        for (std::int32_t j = 0; j < how.kernel_w; ++j) {
          const std::int64_t row = top + i, column = left + j;
          const bool inside = row >= 0 && row < how.height && column >= 0 && column < how.width;
          const float value = inside ? x.row(row * how.width + column)[c] : 0.0f;
          *to++ = round_f16 ? quant::f16_to_f32(quant::f32_to_f16(value)) : value;
        }
      }
    }
  }
}

void ReferenceDevice::do_average_pool(Tensor y, Tensor x, std::int32_t, std::int32_t width, std::int32_t s) {
  for (std::int64_t cell = 0; cell < y.rows; ++cell) {
    const std::int64_t top = cell / (width / s) * s, left = cell % (width / s) * s;
    for (std::int64_t c = 0; c < y.cols; ++c) {
      double sum = 0.0;
      for (std::int32_t i = 0; i < s * s; ++i) sum += x.row((top + i / s) * width + left + i % s)[c];
      y.row(cell)[c] = static_cast<float>(sum / (s * s));
    }
  }
}

}  // namespace mtmd
