// Matrix products: a row of weights is decoded to f32 (exactly, by its format's definition), activations are used as
// they are.
#include <vector>

#include "engine/device/reference/reference_device.h"
#include "engine/quant/quant.h"

namespace mtmd {
namespace {

std::vector<float> decoded_row(const Weight& w, std::int64_t row) {
  std::vector<float> values(static_cast<std::size_t>(w.cols));
  quant::find(w.type)->decode(w.row(row), values.data(), w.cols);
  return values;
}

double dot(const std::vector<float>& w, const float* x) {
  double sum = 0.0;
  for (std::size_t i = 0; i < w.size(); ++i) sum += double{w[i]} * x[i];
  return sum;
}

double bias_at(const Vector& bias, std::int64_t i) { return bias.empty() ? 0.0 : double{bias[i]}; }

/// What expert e makes of one token, added to y with a weight.
void add_expert(std::span<double> y, const MoeWeights& w, std::int32_t e, float weight, const float* x) {
  const Weight gate = w.gate_of(e), up = w.up_of(e), down = w.down.expert(e);
  std::vector<float> hidden(static_cast<std::size_t>(gate.rows));
  for (std::int64_t i = 0; i < gate.rows; ++i) {
    const double g = dot(decoded_row(gate, i), x) + bias_at(w.gate_bias, e * gate.rows + i);
    hidden[i] =
        static_cast<float>(gated(w.activation, g, dot(decoded_row(up, i), x) + bias_at(w.up_bias, e * gate.rows + i)));
  }
  for (std::int64_t i = 0; i < down.rows; ++i)
    y[i] += weight * (dot(decoded_row(down, i), hidden.data()) + bias_at(w.down_bias, e * down.rows + i));
}

}  // namespace

void ReferenceDevice::do_matmul(std::span<const Product> products, Tensor x) {
  for (const Product& p : products) {
    for (std::int64_t o = 0; o < p.w.rows; ++o) {
      const std::vector<float> row = decoded_row(p.w, o);
      for (std::int64_t t = 0; t < x.rows; ++t) {
        const double value = activation(p.options.activation, dot(row, x.row(t)) + bias_at(p.options.bias, o));
        float& y = p.y.row(t)[o];
        y = static_cast<float>(p.options.accumulate ? y + value : value);
      }
    }
  }
}

void ReferenceDevice::do_gated(Tensor y, const Weight& gate, const Weight& up, Tensor x, Activation act,
                               Vector gate_bias, Vector up_bias) {
  for (std::int64_t o = 0; o < gate.rows; ++o) {
    const std::vector<float> gate_row = decoded_row(gate, o), up_row = decoded_row(up, o);
    for (std::int64_t t = 0; t < x.rows; ++t) {
      const double g = dot(gate_row, x.row(t)) + bias_at(gate_bias, o);
      y.row(t)[o] = static_cast<float>(mtmd::gated(act, g, dot(up_row, x.row(t)) + bias_at(up_bias, o)));
    }
  }
}

void ReferenceDevice::do_moe(Tensor y, const MoeWeights& w, const MoeRouting& routing, Tensor x) {
  std::vector<double> sum(static_cast<std::size_t>(y.cols));
  for (std::int64_t t = 0; t < x.rows; ++t) {
    sum.assign(y.row(t), y.row(t) + y.cols);
    for (std::int64_t j = t * routing.n_used; j < (t + 1) * routing.n_used; ++j)
      add_expert(sum, w, routing.expert[j], routing.weight[j], x.row(t));
    for (std::int64_t i = 0; i < y.cols; ++i) y.row(t)[i] = static_cast<float>(sum[i]);
  }
}

void ReferenceDevice::do_get_rows(Tensor y, const Weight& w, std::span<const std::int32_t> ids) {
  for (std::int64_t t = 0; t < y.rows; ++t) quant::find(w.type)->decode(w.row(ids[t]), y.row(t), w.cols);
}

}  // namespace mtmd
