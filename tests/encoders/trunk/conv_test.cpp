// Convolutions over a grid against their definition.
#include "encoders/trunk/conv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/gguf/writer.h"
#include "engine/quant/quant.h"

namespace mtmd::encoders {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Case {
  int in, out, kernel, stride, pad, columns, rows;
  bool round_f16, half_precision;  ///< of the kernel in the file
};

float half(float v) { return quant::f16_to_f32(quant::f32_to_f16(v)); }

std::vector<float> noise(std::size_t n, std::uint32_t seed) {
  std::vector<float> v(n);
  for (float& x : v) {
    seed = seed * 1664525 + 1013904223;
    x = static_cast<float>(static_cast<std::int32_t>(seed)) / 2147483648.0f;
  }
  return v;
}

class Convolution : public ::testing::TestWithParam<Case> {
 protected:
  /// A file with one kernel and its bias.
  std::vector<std::byte> file(const std::vector<float>& kernel, const std::vector<float>& bias,
                              const std::vector<std::int64_t>& shape) const {
    gguf::Writer writer;
    writer.set("general.architecture", "clip");
    std::vector<std::uint16_t> halves;
    for (float v : kernel) halves.push_back(quant::f32_to_f16(v));
    if (GetParam().half_precision) {
      writer.add_tensor("k.weight", DType::F16, shape, std::as_bytes(std::span(halves)));
    } else {
      writer.add_tensor("k.weight", DType::F32, shape, std::as_bytes(std::span(kernel)));
    }
    writer.add_tensor("k.bias", DType::F32, {static_cast<std::int64_t>(bias.size())}, std::as_bytes(std::span(bias)));
    return writer.to_memory();
  }
};

TEST_P(Convolution, EqualsTheSumOverItsKernel) {
  const Case c = GetParam();
  const auto n = [](int a, int b, int d = 1, int e = 1) { return static_cast<std::size_t>(a * b * d * e); };
  std::vector<float> kernel = noise(n(c.out, c.in, c.kernel, c.kernel), 1), bias = noise(n(c.out, 1), 2);
  std::vector<float> x = noise(n(c.columns, c.rows, c.in), 3);
  const std::vector<std::byte> bytes = file(kernel, bias, {c.out, c.in, c.kernel, c.kernel});
  const gguf::File gguf = gguf::File::from_memory(bytes, "conv.gguf");
  gguf::Weights weights(gguf);
  const auto device = make_device("cpu");
  const Conv2d conv(weights, *device, "k",
                    {.in = c.in, .kernel = c.kernel, .stride = c.stride, .pad = c.pad, .round_f16 = c.round_f16});
  ASSERT_EQ(conv.out(), c.out);
  const int columns = conv.side(c.columns), rows = conv.side(c.rows);
  Workspace ws(*device);
  const Tensor in = ws.tensor(std::int64_t{c.columns} * c.rows, c.in),
               y = ws.tensor(std::int64_t{columns} * rows, c.out);
  std::copy(x.begin(), x.end(), in.data);
  conv.run(ws, y, in, c.columns, c.rows);
  if (c.round_f16 || c.half_precision) std::transform(kernel.begin(), kernel.end(), kernel.begin(), half);
  if (c.round_f16) std::transform(x.begin(), x.end(), x.begin(), half);
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      for (int o = 0; o < c.out; ++o) {
        double want = bias[static_cast<std::size_t>(o)];
        for (int i = 0; i < c.in * c.kernel * c.kernel; ++i) {
          const int channel = i / (c.kernel * c.kernel), ky = i / c.kernel % c.kernel, kx = i % c.kernel;
          const int at_y = row * c.stride + ky - c.pad, at_x = column * c.stride + kx - c.pad;
          if (at_y < 0 || at_x < 0 || at_y >= c.rows || at_x >= c.columns) continue;
          want += double{kernel[n(o, c.in * c.kernel * c.kernel) + static_cast<std::size_t>(i)]} *
                  x[static_cast<std::size_t>((at_y * c.columns + at_x) * c.in + channel)];
        }
        EXPECT_NEAR(y.row(std::int64_t{row} * columns + column)[o], want, 2e-5);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Convolution,
    ::testing::Values(Case{3, 5, 3, 2, 1, 8, 6, true, false}, Case{4, 2, 3, 2, 1, 7, 1, true, true},
                      Case{2, 3, 1, 1, 0, 5, 4, false, false}, Case{1, 1, 3, 2, 1, 1, 1, true, false},
                      Case{3, 4, 3, 1, 1, 6, 5, false, true}, Case{6, 7, 2, 2, 0, 4, 4, true, true}));

class WrongKernel : public Convolution {};
INSTANTIATE_TEST_SUITE_P(Types, WrongKernel,
                         ::testing::Values(Case{2, 3, 3, 1, 0, 1, 1, true, false},
                                           Case{2, 3, 3, 1, 0, 1, 1, true, true}));

TEST_P(WrongKernel, IsAnErrorOfTheModel) {
  const auto message = [&](const std::vector<std::int64_t>& shape, const char* name, std::size_t n_bias = 3) {
    std::size_t n = 1;
    for (std::int64_t d : shape) n *= static_cast<std::size_t>(d);
    const std::vector<std::byte> bytes = file(noise(n, 1), noise(n_bias, 2), shape);
    const gguf::File gguf = gguf::File::from_memory(bytes, "conv.gguf");
    gguf::Weights weights(gguf);
    const auto device = make_device("cpu");
    try {
      Conv2d(weights, *device, name, {.in = 2, .kernel = 3});
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::model);
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message({3, 2, 3, 3}, "k"), "no error");
  EXPECT_THAT(message({3, 2, 3, 3}, "other"), AllOf(HasSubstr("conv.gguf"), HasSubstr("other.weight")));
  EXPECT_THAT(message({3, 18}, "k"), HasSubstr("expected 4"));
  EXPECT_THAT(message({3, 3, 3, 2}, "k"),
              AllOf(HasSubstr("k.weight"), HasSubstr("ask for [3, 2, 3, 3]")));  // as many values
  EXPECT_THAT(message({3, 2, 9, 1}, "k"), AllOf(HasSubstr("k.weight"), HasSubstr("ask for [3, 2, 3, 3]")));
  EXPECT_THAT(message({3, 2, 3, 3}, "k", 4), HasSubstr("k.bias"));
}

}  // namespace
}  // namespace mtmd::encoders
