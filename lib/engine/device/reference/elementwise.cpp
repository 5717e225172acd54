// Norms, activations and elementwise arithmetic.
#include <cmath>
#include <numbers>

#include "engine/device/memory.h"
#include "engine/device/reference/reference_device.h"

namespace mtmd {
namespace {

template <class F>
void map(Tensor y, Tensor x, F f) {
  for (std::int64_t r = 0; r < y.rows; ++r)
    for (std::int64_t c = 0; c < y.cols; ++c) y.row(r)[c] = static_cast<float>(f(double{x.row(r)[c]}));
}

template <class F>
void map2(Tensor y, Tensor a, Tensor b, F f) {
  for (std::int64_t r = 0; r < y.rows; ++r)
    for (std::int64_t c = 0; c < y.cols; ++c) y.row(r)[c] = f(a.row(r)[c], b.row(b.rows == 1 ? 0 : r)[c]);
}

}  // namespace

double activation(Activation act, double x) {
  switch (act) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x > 0.0 ? x : x * 0.0;  // a NaN stays one
    case Activation::relu_squared:
      return x > 0.0 ? x * x : x * 0.0;
    case Activation::silu:
      return x / (1.0 + std::exp(-x));
    case Activation::gelu_tanh:  // (1 + tanh u) / 2 = 1 / (1 + e^(-2u)), without the cancellation
      return x / (1.0 + std::exp(-2.0 * std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::gelu_erf:
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    case Activation::gelu_quick:
      return x / (1.0 + std::exp(-1.702 * x));
    case Activation::sigmoid:
      return 1.0 / (1.0 + std::exp(-x));
    case Activation::swiglu_clamped:
      return activation(Activation::gelu_quick, x > 7.0 ? 7.0 : x);
  }
  return x;
}

double gated(Activation act, double gate, double up) {
  if (act == Activation::swiglu_clamped) up = (up > 7.0 ? 7.0 : up < -7.0 ? -7.0 : up) + 1.0;
  return activation(act, gate) * up;
}

DeviceInfo ReferenceDevice::info() const { return {"reference", "plain loops in f32, accumulating in double", 1}; }
std::shared_ptr<std::byte[]> ReferenceDevice::allocate(std::size_t bytes) { return allocate_host(bytes); }

void ReferenceDevice::do_rms_norm(Tensor y, Tensor x, Vector w, float eps) {
  for (std::int64_t r = 0; r < x.rows; ++r) {
    double squares = 0.0;
    for (float v : x.row_span(r)) squares += double{v} * v;
    const double factor = 1.0 / std::sqrt(squares / static_cast<double>(x.cols) + eps);
    for (std::int64_t c = 0; c < x.cols; ++c)
      y.row(r)[c] = static_cast<float>(x.row(r)[c] * factor * (w.empty() ? 1.0f : w[c]));
  }
}

void ReferenceDevice::do_layer_norm(Tensor y, Tensor x, Vector w, Vector b, float eps) {
  for (std::int64_t r = 0; r < x.rows; ++r) {
    double mean = 0.0, variance = 0.0;
    for (float v : x.row_span(r)) mean += v;
    mean /= static_cast<double>(x.cols);
    for (float v : x.row_span(r)) variance += (v - mean) * (v - mean);
    const double factor = 1.0 / std::sqrt(variance / static_cast<double>(x.cols) + eps);
    for (std::int64_t c = 0; c < x.cols; ++c)
      y.row(r)[c] =
          static_cast<float>((x.row(r)[c] - mean) * factor * (w.empty() ? 1.0f : w[c]) + (b.empty() ? 0.0f : b[c]));
  }
}

void ReferenceDevice::do_add(Tensor y, Tensor a, Tensor b) {
  map2(y, a, b, [](float p, float q) { return p + q; });
}
void ReferenceDevice::do_multiply(Tensor y, Tensor a, Tensor b) {
  map2(y, a, b, [](float p, float q) { return p * q; });
}
void ReferenceDevice::do_scale(Tensor y, Tensor x, float factor) {
  map(y, x, [&](double v) { return v * factor; });
}
void ReferenceDevice::do_activate(Tensor y, Tensor x, Activation act) {
  map(y, x, [&](double v) { return activation(act, v); });
}
void ReferenceDevice::do_softcap(Tensor y, Tensor x, float cap) {
  map(y, x, [&](double v) { return cap * std::tanh(v / cap); });
}
void ReferenceDevice::do_clamp(Tensor y, Tensor x, float low, float high) {
  map(y, x, [&](double v) { return v < low ? low : v > high ? high : v; });
}
void ReferenceDevice::do_copy(Tensor y, Tensor x) {
  map(y, x, [](double v) { return v; });
}

void ReferenceDevice::do_rope(Tensor x, std::int32_t head_dim, const RopeTable& table, RopePairs pairs) {
  for (std::int64_t t = 0; t < x.rows; ++t) {
    for (std::int64_t head = 0; head < x.cols; head += head_dim) {
      for (std::int64_t i = 0; i < table.pairs; ++i) {
        float& a = x.row(t)[head + (pairs == RopePairs::adjacent ? 2 * i : i)];
        float& b = x.row(t)[head + (pairs == RopePairs::adjacent ? 2 * i + 1 : i + table.pairs)];
        const double cos = table.cos[t * table.pairs + i], sin = table.sin[t * table.pairs + i];
        const double turned_a = a * cos - b * sin, turned_b = a * sin + b * cos;
        a = static_cast<float>(turned_a), b = static_cast<float>(turned_b);
      }
    }
  }
}

}  // namespace mtmd
