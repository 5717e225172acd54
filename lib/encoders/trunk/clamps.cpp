#include "encoders/trunk/clamps.h"

#include "engine/base/error.h"

namespace mtmd::encoders {

Clamps::Clamps(gguf::Weights& weights, const std::string& name)
    : in_(load(weights, name + ".input")), out_(load(weights, name + ".output")) {}

Clamps::Range Clamps::load(gguf::Weights& weights, const std::string& name) {
  Range range;
  if (const Vector low = weights.vector_if(name + "_min", 1); !low.empty()) range.low = low[0];
  if (const Vector high = weights.vector_if(name + "_max", 1); !high.empty()) range.high = high[0];
  if (!(range.low <= range.high))
    fail(ErrorCategory::model, "{}: {}_min {} and {}_max {} are no range", weights.file().metadata().file(), name,
         range.low, name, range.high);
  return range;
}

void Clamps::matmul(Device& device, Workspace& ws, Tensor y, const Weight& w, Tensor x,
                    const MatmulOptions& options) const {
  const Workspace::Scope scope(ws);
  Tensor from = x;
  if (in_.bounded()) {
    from = ws.tensor(x.rows, x.cols);
    device.clamp(from, x, in_.low, in_.high);
  }
  device.matmul(y, w, from, options);
  if (out_.bounded()) device.clamp(y, y, out_.low, out_.high);
}

}  // namespace mtmd::encoders
