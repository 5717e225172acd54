#include "encoders/trunk/conv.h"

#include <cassert>
#include <limits>
#include <vector>

#include "engine/base/error.h"
#include "engine/quant/quant.h"

namespace mtmd::encoders {

Conv2d::Conv2d(gguf::Weights& weights, Device& device, const std::string& name, const ConvSpec& spec)
    : device_(&device), spec_(spec) {
  const std::string kernel = name + ".weight", &file = weights.file().metadata().file();
  const gguf::TensorInfo* info = weights.find(kernel);
  if (info == nullptr) fail(ErrorCategory::model, "{}: no tensor '{}'", file, kernel);
  if (info->shape.size() != 4 || info->shape[0] > std::numeric_limits<int>::max()) {
    fail(ErrorCategory::model, "{}: {} has {} dimensions, expected 4 (out, in, height, width)", file, kernel,
         info->shape.size());
  }
  if (spec_.out == 0) spec_.out = static_cast<int>(info->shape[0]);
  const std::int64_t cols = std::int64_t{spec.in} * spec.kernel * spec.kernel;
  bias_ = weights.vector_if(name + ".bias", spec_.out);
  // Checks all four dimensions; a product of the last three that happens to fit is no kernel.
  if (info->type == DType::F16 && info->shape[1] == spec.in && info->shape[2] == spec.kernel) {
    kernel_ = weights.matrix(kernel, spec_.out, cols);
    return;
  }
  const Vector stored = weights.values(kernel, {spec_.out, spec.in, spec.kernel, spec.kernel});
  std::vector<float> values(stored.begin(), stored.end());
  if (spec.round_f16) {
    for (float& v : values) v = quant::f16_to_f32(quant::f32_to_f16(v));
  }
  rounded_ = Table(device, values, spec_.out, cols);
  kernel_ = rounded_.weight();
}

void Conv2d::run(Workspace& ws, Tensor y, Tensor x, int columns, int rows) const {
  assert(x.rows == std::int64_t{columns} * rows && y.rows == std::int64_t{side(columns)} * side(rows));
  const Workspace::Scope scope(ws);
  const Unfold2d how{rows,         columns,      spec_.in,  spec_.kernel, spec_.kernel,
                     spec_.stride, spec_.stride, spec_.pad, spec_.pad};
  const Tensor patches = ws.tensor(y.rows, kernel_.cols);
  device_->unfold(patches, x, how, spec_.round_f16);
  device_->matmul(y, kernel_, patches, {.bias = bias_});
}

}  // namespace mtmd::encoders
