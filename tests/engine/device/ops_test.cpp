// Norms, activations, arithmetic, rotations and pictures: the CPU in every instruction set against the reference.
#include "engine/device/device_fixture.h"
#include "engine/device/rope_table.h"

namespace mtmd::test {
namespace {

const std::int64_t kSizes[] = {1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 72, 100, 1023, 4096};

const auto exact = [](std::int64_t, std::int64_t, double) { return 0.0; };

TEST(Ops, Arithmetic) {
  for (std::int64_t n : kSizes) {
    for (std::int64_t rows : {1, 3, 17}) {
      for (std::int64_t gap : {0, 5}) {
        const std::string what = std::to_string(rows) + " x " + std::to_string(n);
        const Matrix a = Matrix::random(rows, n, 1, 1.0f, gap), b = Matrix::random(rows, n, 2),
                     row = Matrix::random(1, n, 3);
        // One rounding each: the same bits on every device.
        expect_like_reference(
            a, [&](Device& d, Tensor y) { d.add(y, y, b.view); }, exact, "add " + what);
        expect_like_reference(
            a, [&](Device& d, Tensor y) { d.add(y, b.view, row.view); }, exact, "add a row " + what);
        expect_like_reference(
            a, [&](Device& d, Tensor y) { d.multiply(y, b.view, y); }, exact, "multiply " + what);
        expect_like_reference(
            a, [&](Device& d, Tensor y) { d.multiply(y, y, row.view); }, exact, "multiply by a row " + what);
        expect_like_reference(
            a, [&](Device& d, Tensor y) { d.scale(y, y, 0.3f); }, exact, "scale " + what);
        expect_like_reference(
            a, [&](Device& d, Tensor y) { d.clamp(y, y, -0.3f, 0.5f); }, exact, "clamp " + what);
        expect_like_reference(
            a, [&](Device& d, Tensor y) { d.copy(y, b.view); }, exact, "copy " + what);
      }
    }
  }
}

TEST(Ops, LongTensorsAreSharedOut) {
  const Matrix a = Matrix::random(41, 3001, 1), b = Matrix::random(41, 3001, 2);
  expect_like_reference(
      a, [&](Device& d, Tensor y) { d.add(y, y, b.view); }, exact, "add");
  expect_like_reference(
      a, [&](Device& d, Tensor y) { d.copy(y, b.view); }, exact, "copy");
}

TEST(Ops, RmsNorm) {
  for (std::int64_t n : kSizes) {
    const Matrix x = Matrix::random(5, n, 4, 3.0f, 2);
    const std::vector<float> w = random_vector(n, 5);
    // The sum has 16 parts or more; its error counts half under the root.
    const double relative = (static_cast<double>(n) / 32 + 8) * kRounding;
    const auto close = [&](std::int64_t, std::int64_t, double want) { return relative * std::abs(want); };
    expect_like_reference(
        x, [&](Device& d, Tensor y) { d.rms_norm(y, y, w, 1e-6f); }, close, "rms_norm " + std::to_string(n));
    expect_like_reference(
        x, [&](Device& d, Tensor y) { d.rms_norm(y, x.view, {}, 1e-5f); }, close, "rms_norm without weights");
  }
}

TEST(Ops, LayerNorm) {
  for (std::int64_t n : kSizes) {
    Matrix x = Matrix::random(5, n, 6, 2.0f, 3);
    for (std::int64_t r = 0; r < 5; ++r)
      for (float& v : x.view.row_span(r)) v += 10.0f;  // a mean that must be taken off first
    const std::vector<float> w = random_vector(n, 7), b = random_vector(n, 8);
    // Values near 16 lose up to n / 16 + 10 roundings in the mean; the norm divides by a deviation of about 2 (by
    // sqrt(eps) for n = 1, where only the mean's last bit is left: 16 * 2^-24 / sqrt(1e-2)).
    const double off = (static_cast<double>(n) / 16 + 10) * kRounding * 20.0;
    const auto close = [&](std::int64_t, std::int64_t, double want) {
      return off * 10.0 + 16 * kRounding * std::abs(want);
    };
    const std::string what = "layer_norm " + std::to_string(n);
    expect_like_reference(
        x, [&](Device& d, Tensor y) { d.layer_norm(y, y, w, b, 1e-2f); }, close, what);
    expect_like_reference(
        x, [&](Device& d, Tensor y) { d.layer_norm(y, x.view, w, {}, 1e-2f); }, close, what + " w");
    expect_like_reference(
        x, [&](Device& d, Tensor y) { d.layer_norm(y, x.view, {}, b, 1e-2f); }, close, what + " b");
  }
}

/// All magnitudes from 2^-20 to 100, both signs, and the ends.
Matrix activation_inputs() {
  Matrix x(1, 4003);
  std::mt19937 generator(9);
  std::uniform_real_distribution<float> exponent(-20.0f, 6.7f);
  for (float& v : x.view.row_span(0)) v = std::exp2(exponent(generator)) * (generator() % 2 ? 1.0f : -1.0f);
  x.view.data[0] = 0.0f, x.view.data[1] = -0.0f, x.view.data[17] = std::nanf(""), x.view.data[18] = 3e38f;
  return x;
}

TEST(Ops, Activations) {
  const Matrix x = activation_inputs();
  struct Case {
    Activation act;
    double (*argument)(double x);  // of the exponential inside: its rounding grows with it
  };
  const Case cases[] = {
      {Activation::none, [](double) { return 0.0; }},
      {Activation::relu, [](double) { return 0.0; }},
      {Activation::relu_squared, [](double) { return 0.0; }},
      {Activation::silu, [](double v) { return v; }},
      {Activation::gelu_tanh, [](double v) { return 1.6 * v * (1 + 0.045 * v * v); }},
      {Activation::gelu_erf, [](double v) { return v * v / 2; }},
      {Activation::gelu_quick, [](double v) { return 1.702 * v; }},
      {Activation::sigmoid, [](double v) { return v; }},
      {Activation::swiglu_clamped, [](double v) { return 1.702 * v; }},
  };
  for (const Case& c : cases) {
    const auto close = [&](std::int64_t, std::int64_t column, double want) {
      const double argument = std::min(100.0, std::abs(c.argument(x.view.data[column])));
      return std::isinf(want) ? 0.0 : (16 + 4 * argument) * kRounding * std::abs(want) + 1e-36;
    };
    Matrix finite = x;
    if (c.act == Activation::relu_squared || c.act == Activation::gelu_tanh)
      finite.view.data[18] = 1.0f;  // 3e38 squared
    const std::string what = "activation " + std::to_string(static_cast<int>(c.act));
    expect_like_reference(
        finite, [&](Device& d, Tensor y) { d.activate(y, y, c.act); }, close, what);
  }
}

TEST(Ops, Softcap) {
  for (std::int64_t n : kSizes) {
    const Matrix x = Matrix::random(2, n, 10, 40.0f);
    const auto close = [](std::int64_t, std::int64_t, double want) { return 8 * kRounding * std::abs(want); };
    expect_like_reference(
        x, [&](Device& d, Tensor y) { d.softcap(y, y, 30.0f); }, close, "softcap");
  }
}

TEST(Ops, Rope) {
  const std::int32_t head_dims[] = {2, 6, 32, 64, 72, 80, 128};
  for (std::int32_t head_dim : head_dims) {
    for (const RopePairs pairs : {RopePairs::adjacent, RopePairs::halves}) {
      for (std::int32_t n_dims : {head_dim, head_dim / 4 * 2}) {
        RopeSpec spec;
        spec.n_dims = n_dims;
        spec.magnitude = 1.2f;
        const std::vector<Position> positions = {{0}, {1}, {7}, {1000}, {131071}};
        const RopeTable table = rope_table(spec, positions);
        const Matrix x = Matrix::random(5, head_dim * 3, 11, 1.0f, 7);
        // Two products and a sum of values below 5 in size.
        const auto close = [](std::int64_t, std::int64_t, double) { return 4 * kRounding * 12.0; };
        const std::string what = "rope " + std::to_string(n_dims) + " of " + std::to_string(head_dim);
        expect_like_reference(
            x, [&](Device& d, Tensor y) { d.rope(y, head_dim, table, pairs); }, close, what);
      }
    }
  }
}

TEST(Ops, Unfold) {
  const Unfold2d cases[] = {{5, 7, 3, 2, 2, 1, 1, 0, 0},
                            {8, 8, 3, 4, 4, 4, 4, 0, 0},
                            {9, 4, 1, 3, 3, 2, 1, 1, 1},
                            {6, 6, 17, 1, 3, 1, 2, 0, 2},
                            {28, 42, 3, 14, 14, 14, 14, 0, 0}};
  for (const Unfold2d& how : cases) {
    const Matrix x = Matrix::random(std::int64_t{how.height} * how.width, how.channels, 12, 1.0f, 1);
    const Matrix y(std::int64_t{how.out_height()} * how.out_width(),
                   std::int64_t{how.channels} * how.kernel_h * how.kernel_w, 2);
    for (bool round : {false, true})
      expect_like_reference(
          y, [&](Device& d, Tensor t) { d.unfold(t, x.view, how, round); }, exact, "unfold");
  }
}

TEST(Ops, AveragePool) {
  for (std::int32_t s : {1, 2, 3, 4}) {
    for (std::int64_t channels : {1, 5, 33}) {
      const Matrix x = Matrix::random(2 * s * 3 * s, channels, 13, 1.0f, 2);
      const auto close = [&](std::int64_t, std::int64_t, double) { return s * s * kRounding * 4.0; };
      expect_like_reference(
          Matrix(6, channels, 3), [&](Device& d, Tensor y) { d.average_pool(y, x.view, 2 * s, 3 * s, s); }, close,
          "average_pool");
    }
  }
}

}  // namespace
}  // namespace mtmd::test
