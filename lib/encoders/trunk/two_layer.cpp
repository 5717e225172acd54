#include "encoders/trunk/two_layer.h"

#include "encoders/trunk/hparams.h"

namespace mtmd::encoders {

TwoLayer::TwoLayer(gguf::Weights& weights, const std::string& first, const std::string& second, std::int64_t in,
                   Activation activation)
    : activation_(activation) {
  const std::int64_t hidden = matrix_rows(weights, first + ".weight"), out = matrix_rows(weights, second + ".weight");
  first_ = weights.matrix(first + ".weight", hidden, in), first_bias_ = weights.vector_if(first + ".bias", hidden);
  second_ = weights.matrix(second + ".weight", out, hidden), second_bias_ = weights.vector_if(second + ".bias", out);
}

void TwoLayer::run(Device& device, Workspace& ws, Tensor y, Tensor x) const {
  const Workspace::Scope scope(ws);
  const Tensor hidden = ws.tensor(x.rows, first_.rows);
  device.feed_forward(y, {{}, first_, second_, activation_, {}, first_bias_}, x, hidden, {.bias = second_bias_});
}

}  // namespace mtmd::encoders
