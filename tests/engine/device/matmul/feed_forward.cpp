// Feed-forward blocks: the same bits as their products one by one, which are compared with the reference device.
#include "engine/device/matmul/products.h"

namespace mtmd::test {
namespace {

using FeedForwards = EveryTypeAndIsa;
INSTANTIATE_TEST_SUITE_P(Matmul, FeedForwards, testing::Combine(testing::ValuesIn(isas()), testing::ValuesIn(kTypes)),
                         type_name);

struct Case {
  std::int64_t n, ff;
  bool gate, biases;
  Activation activation = Activation::silu;
};

TEST_P(FeedForwards, SameBitsAsTheirProducts) {
  const auto device = cpu_device(isa);
  const std::int64_t block = info(type).block_size, d = block == 1 ? 70 : block * 3, out = 45;
  const std::vector<float> bias = gaussian(out, 3);
  for (const DType down_type : {type, DType::Q6_K, DType::F16}) {
    const std::int64_t unit = info(down_type).block_size;
    for (const auto& [n, ff, has_gate, biases, activation] :
         {Case{1, 2 * unit, true, false}, Case{33, 2 * unit, true, true}, Case{32, 2 * unit, false, false},
          Case{75, 3 * unit + (unit == 1 ? 40 : 0), true, false, Activation::gelu_tanh},
          Case{64, 3 * unit + (unit == 1 ? 50 : 0), false, true, Activation::gelu_erf}}) {
      const Weights gate(type, ff, d, 4), up(type, ff, d, 5), down(down_type, out, ff, 6);
      const std::vector<float> gate_bias = gaussian(biases ? ff : 0, 7), up_bias = gaussian(biases ? ff : 0, 8);
      std::vector<float> x = gaussian(n * d, 9), hidden(static_cast<std::size_t>(n * ff)), y = gaussian(n * out, 10);
      std::vector<float> want = y;
      const Tensor x_view(x.data(), n, d), h_view(hidden.data(), n, ff), want_view(want.data(), n, out);
      const MatmulOptions last{.bias = bias, .accumulate = true};
      if (has_gate)
        device->gated(h_view, gate.w, up.w, x_view, activation, gate_bias, up_bias);
      else
        device->matmul(h_view, up.w, x_view, {.bias = up_bias, .activation = activation});
      device->matmul(want_view, down.w, h_view, last);
      const Weight no_gate = {};
      device->feed_forward(Tensor(y.data(), n, out),
                           {has_gate ? gate.w : no_gate, up.w, down.w, activation, gate_bias, up_bias}, x_view, h_view,
                           last);
      ASSERT_EQ(0, std::memcmp(y.data(), want.data(), y.size() * sizeof(float)))
          << n << " tokens, " << ff << " hidden values, down " << name(down_type);
    }
  }
}

/// Several chunks of rows and of tokens, whatever the number of threads.
TEST(FeedForward, ChunksFitTogether) {
  const std::int64_t n = 1100, d = 256, ff = 768;
  const Weights gate(DType::Q4_K, ff, d, 1), up(DType::Q8_0, ff, d, 2), down(DType::Q6_K, d, ff, 3);
  std::vector<float> x = gaussian(n * d, 4), hidden(static_cast<std::size_t>(n * ff)), want;
  for (const std::string& isa : isas()) {
    want.clear();
    for (const int threads : {1, 3}) {
      const auto device = cpu_device(isa, threads);
      const Tensor x_view(x.data(), n, d), h_view(hidden.data(), n, ff);
      std::vector<float> y(static_cast<std::size_t>(n * d));
      if (want.empty()) {
        want = y;
        device->gated(h_view, gate.w, up.w, x_view, Activation::silu);
        device->matmul(Tensor(want.data(), n, d), down.w, h_view);
      }
      device->feed_forward(Tensor(y.data(), n, d), {gate.w, up.w, down.w}, x_view, h_view);
      ASSERT_EQ(0, std::memcmp(y.data(), want.data(), y.size() * sizeof(float)))
          << isa << ", " << threads << " threads";
    }
  }
}

TEST(FeedForward, ShapesAreChecked) {
  const auto device = cpu_device({});
  const Weights gate(DType::F32, 8, 4, 1), up(DType::F32, 8, 4, 2), down(DType::F32, 4, 8, 3);
  std::vector<float> x(8), hidden(16), y(8);
  const Tensor x_view(x.data(), 2, 4), h_view(hidden.data(), 2, 8), y_view(y.data(), 2, 4);
  const auto with = [&](Tensor to, const FeedForward& w, Tensor h) {
    return [=, &device] { device->feed_forward(to, w, x_view, h); };
  };
  EXPECT_NO_THROW(with(y_view, {gate.w, up.w, down.w}, h_view)());
  EXPECT_NO_THROW(with(x_view, {gate.w, up.w, down.w}, h_view)());
  EXPECT_ANY_THROW(with(y_view, {gate.w, down.w, down.w}, h_view)());
  EXPECT_ANY_THROW(with(y_view, {gate.w, up.w, up.w}, h_view)());
  EXPECT_ANY_THROW(with(y_view, {gate.w, up.w, down.w}, x_view)());
}

}  // namespace
}  // namespace mtmd::test
