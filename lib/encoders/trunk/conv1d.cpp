#include "encoders/trunk/conv1d.h"

#include <cassert>
#include <vector>

#include "engine/quant/quant.h"

namespace mtmd::encoders {

Conv1d::Conv1d(gguf::Weights& weights, Device& device, const std::string& name, int in, int out, int stride)
    : device_(&device), in_(in), stride_(stride), bias_(weights.vector_if(name + ".bias", out)) {
  const std::string kernel = name + ".weight";
  const std::int64_t cols = std::int64_t{in} * kTaps;
  const gguf::TensorInfo* info = weights.find(kernel);
  if (info != nullptr && info->type == DType::F16 && info->shape.size() == 3 && info->shape[1] == in) {
    kernel_ = weights.matrix(kernel, out, cols);
    return;
  }
  const Vector stored = weights.values(kernel, {out, in, kTaps});
  std::vector<float> values(stored.begin(), stored.end());
  for (float& v : values) v = quant::f16_to_f32(quant::f32_to_f16(v));
  rounded_ = Table(device, values, out, cols);
  kernel_ = rounded_.weight();
}

void Conv1d::run(Workspace& ws, Tensor y, Tensor x, Activation activation) const {
  assert(x.cols == in_ && y.rows == length(x.rows));
  const Workspace::Scope scope(ws);
  const Unfold2d how{1, static_cast<std::int32_t>(x.rows), in_, 1, kTaps, 1, stride_, 0, 1};
  const Tensor taps = ws.tensor(y.rows, kernel_.cols);
  device_->unfold(taps, x, how, true);
  device_->matmul(y, kernel_, taps, {.bias = bias_, .activation = activation});
}

void frames_as_rows(Tensor y, const audio::Mel& mel) {
  assert(y.rows == mel.frames && y.cols == mel.bands);
  for (int f = 0; f < mel.frames; ++f) {
    float* row = y.row(f);
    for (int b = 0; b < mel.bands; ++b) row[b] = mel.band(b)[f];
  }
}

}  // namespace mtmd::encoders
