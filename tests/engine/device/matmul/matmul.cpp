// The CPU device's products against the reference device: every type, instruction set, thread count and odd shapes.
#include "engine/device/matmul/products.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/device/cpu/bf16_dot.h"
#include "engine/tensor/precision.h"

namespace mtmd::test {
namespace {

bool rounds_to_bf16(cpu::Form form, DType type) {
  return form == cpu::Form::tile_rows || (form == cpu::Form::tile_groups && has_int_kernel(type));
}
bool rounds_to_int8(cpu::Form form) { return form == cpu::Form::int_rows || form == cpu::Form::int_groups; }

/// The rounding that the integer kernels document: 32 values share d = max|x| / 127, q = rint(x / d).
std::vector<float> rounded(const std::vector<float>& x) {
  std::vector<float> y(x.size());
  for (std::size_t b = 0; b < x.size(); b += 32) {
    float max = 0;
    for (std::size_t i = b; i < b + 32; ++i) max = std::max(max, std::fabs(x[i]));
    const float d = max / 127.0f, inverse = max > 0 ? 127.0f / max : 0.0f;
    for (std::size_t i = b; i < b + 32; ++i) y[i] = d * std::rint(x[i] * inverse);
  }
  return y;
}

/// Per output value: sum of |w x|, the scale of its rounding errors.
std::vector<float> magnitudes(const Weight& w, const std::vector<float>& x, std::int64_t n) {
  std::vector<float> row(static_cast<std::size_t>(w.cols)), y(static_cast<std::size_t>(n * w.rows));
  for (std::int64_t r = 0; r < w.rows; ++r) {
    quant::find(w.type)->decode(w.row(r), row.data(), w.cols);
    for (std::int64_t t = 0; t < n; ++t) {
      double sum = 0;
      for (std::int64_t i = 0; i < w.cols; ++i) sum += std::fabs(double{row[i]} * x[t * w.cols + i]);
      y[t * w.rows + r] = static_cast<float>(sum);
    }
  }
  return y;
}

INSTANTIATE_TEST_SUITE_P(Matmul, EveryTypeAndIsa,
                         testing::Combine(testing::ValuesIn(isas()), testing::ValuesIn(kTypes)), type_name);
class EveryTypeInTiles : public EveryTypeAndIsa {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryTypeInTiles);  // no such instruction set here
INSTANTIATE_TEST_SUITE_P(Matmul, EveryTypeInTiles, testing::ValuesIn(tiled()), type_name);

void expect_close(const std::vector<float>& got, const std::vector<float>& want, const std::vector<float>& magnitude,
                  double bound, const std::string& what) {
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_LE(std::fabs(double{got[i]} - want[i]), bound * magnitude[i] + 1e-30)
        << what << ", value " << i << ": " << got[i] << " for " << want[i];
}

// Integer products are exact within a group; what is left is the summing of cols / 16 terms in f32. Against activations
// rounded in the documented way the error is below (terms) * 2^-24 of the sum of magnitudes; against unrounded ones
// half a step of 1/127 of each block's largest value, i.e. for any x at most max|x| / 254 * sum|w|. Tiles round weights
// and activations to bf16, each by 2^-8 of itself at most.
TEST_P(EveryTypeAndIsa, MatchesReferenceOnOddShapes) {
  const auto device = cpu_device(isa), reference = make_device("reference");
  const std::int64_t block = info(type).block_size;
  for (const auto& [rows, blocks, n] : {std::tuple<std::int64_t, std::int64_t, std::int64_t>{1, 1, 1},
                                        {5, 3, 1},
                                        {37, 2, 2},
                                        {33, 3, 3},
                                        {64, 1, 7},
                                        {31, 5, 13},
                                        {64, 2, 9},
                                        {49, 3, 16},
                                        {79, 3, 17},
                                        {17, 4, 31},
                                        {130, 2, 6},
                                        {3, 4, 50},
                                        {33, 5, 32},
                                        {95, 3, 49}}) {
    const cpu::Form form = form_of(isa, type, n);
    const bool integer = rounds_to_int8(form);
    const std::int64_t cols = block == 1 ? blocks * 37 : block * blocks;
    const Weights weights(type, rows, cols, static_cast<unsigned>(rows * 31 + n));
    std::vector<float> x = gaussian(n * cols, static_cast<unsigned>(n + 5));
    const std::vector<float> xr = integer ? rounded(x) : x;
    std::vector<float> got(static_cast<std::size_t>(n * rows)), want = got;
    device->matmul(Tensor(got.data(), n, rows), weights.w, Tensor(x.data(), n, cols));
    reference->matmul(Tensor(want.data(), n, rows), weights.w, Tensor(const_cast<float*>(xr.data()), n, cols));
    const std::string what = fmt::format("[{}, {}] x {}", rows, cols, n);
    const double terms = integer ? static_cast<double>(cols) / 16 + 4 : static_cast<double>(cols) / 4 + 8;
    const double rounding = rounds_to_bf16(form, type) ? 0x1.02p-7 : 0;
    expect_close(got, want, magnitudes(weights.w, xr, n), terms * 0x1p-24 + rounding, what);
  }
}

// Rows of few tokens are taken several at a time; what is left over is its own case.
TEST_P(EveryTypeAndIsa, AnyNumberOfRowsForFewTokens) {
  const auto device = cpu_device(isa), reference = make_device("reference");
  const std::int64_t block = info(type).block_size, cols = block == 1 ? 301 : block == 256 ? 768 : 544 / block * block;
  for (const std::int64_t n : {1, 2, 3, 4, 8, 11}) {
    const cpu::Form form = form_of(isa, type, n);
    const bool integer = rounds_to_int8(form);
    const double rounding = rounds_to_bf16(form, type) ? 0x1.02p-7 : 0;
    for (std::int64_t rows = 1; rows <= 9; ++rows) {
      const Weights weights(type, rows, cols, static_cast<unsigned>(rows));
      std::vector<float> x = gaussian(n * cols, static_cast<unsigned>(n));
      const std::vector<float> xr = integer ? rounded(x) : x;
      std::vector<float> got(static_cast<std::size_t>(n * rows)), want = got;
      device->matmul(Tensor(got.data(), n, rows), weights.w, Tensor(x.data(), n, cols));
      reference->matmul(Tensor(want.data(), n, rows), weights.w, Tensor(const_cast<float*>(xr.data()), n, cols));
      expect_close(got, want, magnitudes(weights.w, xr, n), static_cast<double>(cols) / 4 * 0x1p-24 + rounding,
                   fmt::format("{} rows x {}", rows, n));
    }
  }
}

// The same against plain activations: a product that forgot to round would pass the test above only by rounding alike.
TEST_P(EveryTypeAndIsa, RoundingCostsAtMostHalfAStep) {
  const auto device = cpu_device(isa), reference = make_device("reference");
  for (const std::int64_t n : {4, 20, 40}) {
    const std::int64_t rows = 17, cols = 768;
    const Weights weights(type, rows, cols, 3);
    std::vector<float> x = gaussian(n * cols, 4), got(static_cast<std::size_t>(n * rows)), want = got;
    device->matmul(Tensor(got.data(), n, rows), weights.w, Tensor(x.data(), n, cols));
    reference->matmul(Tensor(want.data(), n, rows), weights.w, Tensor(x.data(), n, cols));
    double error = 0, size = 0;
    for (std::size_t i = 0; i < got.size(); ++i) error += std::pow(got[i] - want[i], 2), size += std::pow(want[i], 2);
    // Uniform error of a step s = 2.5 / 127 (gaussian maximum of 32): s / sqrt(12) = 0.0057 of the activations'
    // deviation. bf16: two relative errors below 2^-8, 0.0023 of the product on average.
    const cpu::Form form = form_of(isa, type, n);
    const double bound = rounds_to_int8(form) ? 0.02 : rounds_to_bf16(form, type) ? 0.005 : 1e-6;
    EXPECT_LE(std::sqrt(error / size), bound) << n << " tokens";
  }
}

TEST_P(EveryTypeAndIsa, ManyTokensAndRowsInSeveralChunks) {
  const auto device = cpu_device(isa), reference = make_device("reference");
  const std::int64_t rows = 70, cols = info(type).block_size == 1 ? 1030 : 1280,
                     n = 389;  // chunks of tokens, of columns, of rows
  const cpu::Form form = form_of(isa, type, n);
  const bool integer = rounds_to_int8(form);
  const Weights weights(type, rows, cols, 8);
  std::vector<float> x = gaussian(n * cols, 9);
  const std::vector<float> xr = integer ? rounded(x) : x;
  std::vector<float> got(static_cast<std::size_t>(n * rows)), want = got;
  device->matmul(Tensor(got.data(), n, rows), weights.w, Tensor(x.data(), n, cols));
  // The reference is slow: some of the tokens, at both ends of every chunk.
  for (std::int64_t t : {0, 1, 191, 192, 197, 203, 204, 383, 384, 387, 388}) {
    reference->matmul(Tensor(want.data() + t * rows, 1, rows), weights.w,
                      Tensor(const_cast<float*>(xr.data()) + t * cols, 1, cols));
    const std::vector<float> token(xr.begin() + t * cols, xr.begin() + (t + 1) * cols);
    expect_close({got.begin() + t * rows, got.begin() + (t + 1) * rows},
                 {want.begin() + t * rows, want.begin() + (t + 1) * rows}, magnitudes(weights.w, token, 1),
                 (static_cast<double>(cols) / 4) * 0x1p-24 + (rounds_to_bf16(form, type) ? 0x1.02p-7 : 0),
                 fmt::format("token {}", t));
  }
}

// Several panels of a chunk that pass over several parts of the columns, for several chunks of tokens, one and two
// weights at a time.
TEST_P(EveryTypeInTiles, PanelsOfAChunkTakeTurns) {
  const std::int64_t rows = 600, cols = 2 * 1280, n = 1030;
  const cpu::Form form = form_of(isa, type, n);
  const auto device = cpu_device(isa, 1), reference = make_device("reference");
  const Weights gate(type, rows, cols, 12), up(type, rows, cols, 13);
  std::vector<float> x = gaussian(n * cols, 14), got(static_cast<std::size_t>(n * rows)), gated = got;
  device->matmul(Tensor(got.data(), n, rows), gate.w, Tensor(x.data(), n, cols));
  device->gated(Tensor(gated.data(), n, rows), gate.w, up.w, Tensor(x.data(), n, cols), Activation::relu);
  std::vector<float> want(rows), other(rows);
  for (const std::int64_t t : {0, 31, 543, 544, 1029}) {
    const Tensor token(x.data() + t * cols, 1, cols);
    reference->matmul(Tensor(want.data(), 1, rows), gate.w, token);
    reference->matmul(Tensor(other.data(), 1, rows), up.w, token);
    const std::vector<float> values(x.begin() + t * cols, x.begin() + (t + 1) * cols);
    const std::vector<float> size = magnitudes(gate.w, values, 1), other_size = magnitudes(up.w, values, 1);
    const double bound = static_cast<double>(cols) / 4 * 0x1p-24 + (rounds_to_bf16(form, type) ? 0x1.02p-7 : 0);
    for (std::int64_t r = 0; r < rows; ++r) {
      ASSERT_NEAR(got[t * rows + r], want[r], bound * size[r]) << "token " << t << ", row " << r;
      const double error = 1.1 * bound * (size[r] * std::fabs(other[r]) + other_size[r] * std::fabs(want[r]));
      ASSERT_NEAR(gated[t * rows + r], std::max(want[r], 0.0f) * other[r], error) << "token " << t << ", row " << r;
    }
  }
}

TEST_P(EveryTypeAndIsa, SameBitsForEveryThreadCount) {
  const std::int64_t rows = 300, cols = 512;
  const Weights weights(type, rows, cols, 1);
  for (std::int64_t n : {1, 5, 20, 40}) {
    std::vector<float> x = gaussian(n * cols, 2), first;
    for (int threads : {1, 2, 3, 8}) {
      std::vector<float> y(static_cast<std::size_t>(n * rows));
      cpu_device(isa, threads)->matmul(Tensor(y.data(), n, rows), weights.w, Tensor(x.data(), n, cols));
      if (first.empty()) first = y;
      ASSERT_EQ(0, std::memcmp(first.data(), y.data(), y.size() * sizeof(float))) << threads << " threads, n = " << n;
    }
  }
}

TEST_P(EveryTypeAndIsa, EpiloguesAndStrides) {
  const auto device = cpu_device(isa), reference = make_device("reference");
  const std::int64_t rows = 35, cols = 256;
  const Weights weights(type, rows, cols, 6);
  const std::vector<float> bias = gaussian(rows, 7);
  for (std::int64_t n : {1, 2, 9}) {
    const cpu::Form form = form_of(isa, type, n);
    for (const Activation act : {Activation::none, Activation::relu, Activation::silu, Activation::gelu_tanh,
                                 Activation::gelu_erf, Activation::gelu_quick})
      for (const bool accumulate : {false, true}) {
        const MatmulOptions options{
            .bias = accumulate && n == 2 ? Vector{} : Vector(bias), .activation = act, .accumulate = accumulate};
        std::vector<float> x = gaussian(n * (cols + 3), 8), got = gaussian(n * (rows + 5), 9), want = got;
        std::vector<float> xr = x, error(got.size());  // of rounding, by value
        for (std::int64_t t = 0; t < n; ++t) {
          const std::vector<float> row(x.begin() + t * (cols + 3), x.begin() + t * (cols + 3) + cols);
          if (rounds_to_int8(form)) std::ranges::copy(rounded(row), xr.begin() + t * (cols + 3));
          if (rounds_to_bf16(form, type))
            std::ranges::transform(magnitudes(weights.w, row, 1), error.begin() + t * (rows + 5),
                                   [](float m) { return 0x1.2p-7f * m; });  // activations are steeper than 1
        }
        device->matmul(Tensor(got.data(), n, rows, rows + 5), weights.w, Tensor(x.data(), n, cols, cols + 3), options);
        reference->matmul(Tensor(want.data(), n, rows, rows + 5), weights.w, Tensor(xr.data(), n, cols, cols + 3),
                          options);
        for (std::size_t i = 0; i < got.size(); ++i)
          ASSERT_NEAR(got[i], want[i], 1e-3 + 1e-5 * std::fabs(want[i]) + error[i])
              << "value " << i << ", n = " << n << ", activation " << static_cast<int>(act);
      }
  }
}

TEST_P(EveryTypeAndIsa, ProductsOfOneInputAreIndependent) {
  const auto device = cpu_device(isa);
  const std::int64_t cols = 256;
  const Weights a(type, 40, cols, 1), b(DType::Q6_K, 9, cols, 2), c(DType::F16, 70, cols, 3);
  for (std::int64_t n : {1, 20, 40}) {
    std::vector<float> x = gaussian(n * cols, 5);
    const Weight* weights[] = {&a.w, &b.w, &c.w};
    std::vector<float> alone[3], together[3];
    std::vector<Product> products;
    for (int i = 0; i < 3; ++i) {
      alone[i].resize(static_cast<std::size_t>(n * weights[i]->rows));
      together[i] = alone[i];
      device->matmul(Tensor(alone[i].data(), n, weights[i]->rows), *weights[i], Tensor(x.data(), n, cols));
      products.push_back({Tensor(together[i].data(), n, weights[i]->rows), *weights[i], {}});
    }
    device->matmul(products, Tensor(x.data(), n, cols));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(alone[i], together[i]);
  }
}

TEST_P(EveryTypeAndIsa, GatedIsTwoProducts) {
  const auto device = cpu_device(isa);
  const std::int64_t ff = 45, cols = 512;
  const Weights gate(type, ff, cols, 1);
  const std::vector<float> gate_bias = gaussian(ff, 10), up_bias = gaussian(ff, 11);
  for (const DType up_type : {type, DType::Q5_0, DType::F16}) {
    const Weights up(up_type, ff, cols, 2);
    for (std::int64_t n : {1, 2, 3, 30, 40}) {
      std::vector<float> x = gaussian(n * cols, 3), y(static_cast<std::size_t>(n * ff)), g = y, u = y;
      device->gated(Tensor(y.data(), n, ff), gate.w, up.w, Tensor(x.data(), n, cols), Activation::silu, gate_bias,
                    up_bias);
      device->matmul(Tensor(g.data(), n, ff), gate.w, Tensor(x.data(), n, cols),
                     {.bias = gate_bias, .activation = Activation::silu});
      device->matmul(Tensor(u.data(), n, ff), up.w, Tensor(x.data(), n, cols), {.bias = up_bias});
      for (std::size_t i = 0; i < y.size(); ++i)
        ASSERT_NEAR(y[i], g[i] * u[i], 1e-5 * std::fabs(g[i] * u[i]) + 1e-6) << i;
    }
  }
}

TEST_P(EveryTypeAndIsa, MoeIsItsDefinition) {
  const auto device = cpu_device(isa);
  const std::int64_t d = 256, ff = 512, experts = 5, used = 2;
  const DType down_type = type == DType::Q4_K ? DType::Q6_K : type;
  const Weights gate(type, ff, d, 1, experts), up(type, ff, d, 2, experts), down(down_type, d, ff, 3, experts);
  for (std::int64_t n : {1, 19, 99}) {
    const cpu::Form form = form_of(isa, type, n);
    const bool tiles = form == cpu::Form::tile_groups || form == cpu::Form::tile_rows;
    if (n == 99 && !tiles) continue;  // nothing that 19 tokens do not show
    std::vector<float> x = gaussian(n * d, 4), y = gaussian(n * d, 5), want = y;
    std::vector<std::int32_t> expert;
    std::vector<float> weight;
    std::mt19937 random(6);
    for (std::int64_t t = 0; t < n; ++t) {
      const auto first = static_cast<std::int32_t>(random() % 3);  // experts 3 and 4 come second at most, one never
      expert.insert(expert.end(), {first, (first + 1 + static_cast<std::int32_t>(random() % 2)) % 4});
      weight.insert(weight.end(), {0.75f, 0.25f});
    }
    device->moe(Tensor(y.data(), n, d), {gate.w, up.w, down.w, Activation::silu}, {used, expert, weight},
                Tensor(x.data(), n, d));
    std::vector<float> hidden(ff), out(d);
    for (std::size_t i = 0; i < expert.size(); ++i) {
      const auto t = static_cast<std::int64_t>(i) / used;
      device->gated(Tensor(hidden.data(), 1, ff), gate.w.expert(expert[i]), up.w.expert(expert[i]),
                    Tensor(x.data() + t * d, 1, d), Activation::silu);
      device->matmul(Tensor(out.data(), 1, d), down.w.expert(expert[i]), Tensor(hidden.data(), 1, ff));
      for (std::int64_t c = 0; c < d; ++c) want[t * d + c] += weight[i] * out[c];
    }
    double error = 0, size = 0;
    for (std::size_t i = 0; i < y.size(); ++i) error += std::pow(y[i] - want[i], 2), size += std::pow(want[i], 2);
    // One token and many take different kernels; the hidden values' last bits may turn a rounding to int8 over. Where
    // the larger experts take tiles, one way rounds to int8 and the other to bf16, twice in a row.
    EXPECT_LE(std::sqrt(error / size), tiles ? 0.02 : 1e-3) << n << " tokens";
  }
}

TEST_P(EveryTypeAndIsa, GetRowsDecodes) {
  const auto device = cpu_device(isa);
  const std::int64_t cols = 256;
  const Weights w(type, 50, cols, 1);
  std::vector<std::int32_t> ids = {49, 0, 7, 7, 20};
  for (int i = 0; i < 40; ++i) ids.push_back(i);
  std::vector<float> got(ids.size() * cols), want(cols);
  device->get_rows(Tensor(got.data(), std::ssize(ids), cols), w.w, ids);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    quant::find(type)->decode(w.w.row(ids[i]), want.data(), cols);
    ASSERT_TRUE(std::equal(want.begin(), want.end(), got.begin() + static_cast<std::ptrdiff_t>(i) * cols));
  }
}

class EveryIsa : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Matmul, EveryIsa, testing::ValuesIn(isas()), [](const auto& p) { return p.param; });

TEST_P(EveryIsa, NotANumberComesThrough) {
  const auto device = cpu_device(GetParam());
  for (const DType type : {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_K, DType::Q6_K})
    for (const float bad : {NAN, INFINITY, -INFINITY})
      for (std::int64_t n : {1, 8, 12, 33}) {
        const Weights w(type, 20, 256, 1);
        std::vector<float> x = gaussian(n * 256, 2), y(static_cast<std::size_t>(n * 20));
        x[100] = bad;
        device->matmul(Tensor(y.data(), n, 20), w.w, Tensor(x.data(), n, 256));
        for (int r = 0; r < 20; ++r) EXPECT_FALSE(std::isfinite(y[static_cast<std::size_t>(r)])) << name(type);
        for (std::size_t i = 20; i < y.size(); ++i) EXPECT_TRUE(std::isfinite(y[i])) << "another token, " << name(type);
      }
}

// Kernels read whole vectors; what belongs to the next row must not count, not even as 0 * NaN.
TEST_P(EveryIsa, DamagedScalesStayInTheirRow) {
  const auto device = cpu_device(GetParam());
  for (const DType type : {DType::Q8_0, DType::Q4_1, DType::Q5_0, DType::IQ4_NL})
    for (std::int64_t n : {1, 2, 9, 33}) {
      Weights w(type, 20, 96, 1);
      const std::uint16_t nan = 0x7e00;
      for (std::size_t block = 0; block < 3; ++block)
        std::memcpy(w.bytes.data() + 7 * w.w.row_bytes() + block * info(type).block_bytes, &nan, 2);
      std::vector<float> x = gaussian(n * 96, 2), y(static_cast<std::size_t>(n * 20));
      device->matmul(Tensor(y.data(), n, 20), w.w, Tensor(x.data(), n, 96));
      for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isfinite(y[i]), i % 20 != 7) << name(type) << ", " << i;
    }
}

TEST_P(EveryIsa, MoreRowsAndTokensThanAChunk) {
  const auto device = cpu_device(GetParam()), reference = make_device("reference");
  const std::int64_t rows = 1100, cols = 768, n = 1070;
  for (const DType type : {DType::Q4_K, DType::Q6_K}) {
    const Weights weights(type, rows, cols, 8);
    std::vector<float> x = gaussian(n * cols, 9), got(static_cast<std::size_t>(n * rows)), want(rows);
    device->matmul(Tensor(got.data(), n, rows), weights.w, Tensor(x.data(), n, cols));
    const double bound = rounds_to_bf16(form_of(GetParam(), type, n), type) ? 0.005 : 0.02;
    for (std::int64_t t : {0, 543, 544, 1023, 1024, 1069}) {
      reference->matmul(Tensor(want.data(), 1, rows), weights.w, Tensor(x.data() + t * cols, 1, cols));
      double error = 0, size = 0;
      for (std::int64_t r = 0; r < rows; ++r)
        error += std::pow(got[t * rows + r] - want[r], 2), size += std::pow(want[r], 2);
      EXPECT_LE(std::sqrt(error / size), bound) << name(type) << ", token " << t;
    }
  }
}

TEST_P(EveryIsa, TinyAndZeroActivations) {
  const auto device = cpu_device(GetParam());
  const Weights w(DType::Q4_K, 20, 256, 1);
  for (const float size : {0.0f, 1e-44f, 1e-38f, 1e-30f, 1e30f}) {
    std::vector<float> x = gaussian(256, 2), y(20);
    for (float& v : x) v *= size;
    device->matmul(Tensor(y.data(), 1, 20), w.w, Tensor(x.data(), 1, 256));
    for (float v : y) EXPECT_TRUE(std::isfinite(v) && std::fabs(v) <= 1000 * size) << size;
  }
}

TEST(Dispatch, RefusesUnknownInstructionSets) {
  try {
    make_device("cpu", {.threads = 1, .isa = "sse9"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
    EXPECT_NE(std::string(e.what()).find("base"), std::string::npos) << e.what();
  }
}

TEST(Dispatch, TheEnvironmentForcesOne) {
  setenv("MTMD_ISA", "base", 1);
  EXPECT_EQ(cpu::select_kernels().name, "base");
  setenv("MTMD_ISA", "nonsense", 1);
  EXPECT_THROW(cpu::select_kernels(), Error);
  unsetenv("MTMD_ISA");
  EXPECT_EQ(cpu::select_kernels().name, cpu::runnable_kernels().back().name);
}

/// Rounds values so that bf16 holds them.
void fit_to_bf16(std::vector<float>& values) {
  for (float& v : values) v = quant::bf16_to_f32(quant::f32_to_bf16(v));
}

/// F32 or F16 weights of given values.
Weights weights_of(DType type, const std::vector<float>& values, std::int64_t cols) {
  Weights w(type, static_cast<std::int64_t>(values.size()) / cols, cols, 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t half = type == DType::BF16 ? quant::f32_to_bf16(values[i]) : quant::f32_to_f16(values[i]);
    if (type == DType::F32)
      std::memcpy(w.bytes.data() + 4 * i, &values[i], 4);
    else
      std::memcpy(w.bytes.data() + 2 * i, &half, 2);
  }
  return w;
}

// What a precision leaves of its operands bounds the error: 2^-9 of a bf16, 2^-17 of two; sums in f32.
TEST_P(EveryIsa, PrecisionBoundsTheError) {
  const auto device = cpu_device(GetParam()), reference = make_device("reference");
  const std::int64_t rows = 75, cols = 1093;
  for (const DType type : {DType::F32, DType::F16, DType::BF16})
    for (const bool fits : {false, true})
      for (const Precision precision : {Precision::f32, Precision::f16, Precision::bf16_exact, Precision::bf16})
        for (const std::int64_t n : {4, 17, 33, 50}) {
          std::vector<float> values = gaussian(rows * cols, 7);
          if (fits) fit_to_bf16(values);
          Weights w = weights_of(type, values, cols);
          w.w.data = w.bytes.data(), w.w.precision = precision;
          std::vector<float> x = gaussian(n * cols, 8), got(static_cast<std::size_t>(n * rows)), want = got;
          device->matmul(Tensor(got.data(), n, rows), w.w, Tensor(x.data(), n, cols));
          reference->matmul(Tensor(want.data(), n, rows), w.w, Tensor(x.data(), n, cols));
          const bool short_weights = type == DType::BF16 || (fits && type == DType::F16);
          double rounding = 0;
          if (precision == Precision::f16) rounding = 0x1p-15;
          if (precision == Precision::bf16_exact) rounding = short_weights ? 0x1.01p-9 : 0x1p-15;
          if (precision == Precision::bf16) rounding = 0x1.02p-8;
          expect_close(got, want, magnitudes(w.w, x, n), rounding + (static_cast<double>(cols) / 4 + 8) * 0x1p-24,
                       fmt::format("{} fits {} precision {} x {}", name(type), fits, static_cast<int>(precision), n));
        }
}

// Nothing is rounded where that wins no time.
TEST_P(EveryIsa, ExactBf16IsF32WhereBf16IsNotFaster) {
  if (GetParam() == "amx" || cpu::bf16_dot_is_fast()) return;
  const auto device = cpu_device(GetParam());
  const std::int64_t rows = 75, cols = 200, n = 40;
  std::vector<float> values = gaussian(rows * cols, 7), x = gaussian(n * cols, 8),
                     exact(static_cast<std::size_t>(n * rows)), f32 = exact;
  fit_to_bf16(values);
  Weights w = weights_of(DType::F16, values, cols);
  w.w.data = w.bytes.data();
  for (const auto& [precision, y] : {std::pair(Precision::bf16_exact, &exact), std::pair(Precision::f32, &f32)}) {
    w.w.precision = precision;
    device->matmul(Tensor(y->data(), n, rows), w.w, Tensor(x.data(), n, cols));
  }
  EXPECT_EQ(exact, f32);
}

// The look at a few weights may miss one that does not fit; products must not.
TEST_P(EveryIsa, NoWeightOfF16IsCutUnseen) {
  const auto device = cpu_device(GetParam()), reference = make_device("reference");
  const std::int64_t rows = 64, cols = 1024, n = 40;
  std::vector<float> values = gaussian(rows * cols, 7);
  fit_to_bf16(values);
  values[5 * cols + 700] = 1.0f + 0x1p-10f;
  Weights w = weights_of(DType::F16, values, cols);
  w.w.data = w.bytes.data(), w.w.precision = Precision::bf16_exact;
  ASSERT_TRUE(seems_to_fit_bf16(w.w));
  std::vector<float> x(static_cast<std::size_t>(n * cols)), got(static_cast<std::size_t>(n * rows)), want = got;
  for (std::int64_t t = 0; t < n; ++t) x[static_cast<std::size_t>(t * cols + 700)] = static_cast<float>(t + 1);
  device->matmul(Tensor(got.data(), n, rows), w.w, Tensor(x.data(), n, cols));
  reference->matmul(Tensor(want.data(), n, rows), w.w, Tensor(x.data(), n, cols));
  EXPECT_EQ(got, want);  // one product each
}

TEST(Precision, FitsBf16WhenTheLowerHalfOfTheFloatIsEmpty) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7c00) == 0x7c00) continue;
    const float value = quant::f16_to_f32(static_cast<std::uint16_t>(bits));
    std::uint32_t wide;
    std::memcpy(&wide, &value, sizeof wide);
    ASSERT_EQ(fits_bf16(static_cast<std::uint16_t>(bits)), (wide & 0xffff) == 0) << bits;
  }
}

}  // namespace
}  // namespace mtmd::test
