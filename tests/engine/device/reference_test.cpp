// The oracle itself, against numbers worked out by hand, and the rotation tables against their definitions.
#include "engine/base/error.h"
#include "engine/device/device_fixture.h"
#include "engine/device/rope_table.h"

namespace mtmd::test {
namespace {

using testing::Test;

Matrix matrix(std::int64_t rows, std::int64_t cols, std::vector<float> values) {
  Matrix m(rows, cols);
  std::copy(values.begin(), values.end(), m.view.data);
  return m;
}

std::vector<float> values(const Matrix& m) { return {m.view.data, m.view.data + m.view.size()}; }

Weight f32_weight(const std::vector<float>& data, std::int64_t rows, std::int64_t cols, std::int64_t experts = 1) {
  return {DType::F32, reinterpret_cast<const std::byte*>(data.data()), rows, cols, experts};
}

struct Reference : Test {
  std::unique_ptr<Device> device = make_device("reference");
};

TEST_F(Reference, MatmulAppliesRowsOfTheWeight) {
  const std::vector<float> w = {1, 2, 3, -1, 0, 1};
  const Matrix x = matrix(2, 3, {1, 1, 1, 2, 0, -1});
  const std::vector<float> bias = {0.5f, 10};
  Matrix y = matrix(2, 2, {100, 200, 300, 400});
  device->matmul(y.view, f32_weight(w, 2, 3), x.view, {.bias = bias});
  EXPECT_EQ(values(y), (std::vector<float>{6.5f, 10, -0.5f, 7}));
  device->matmul(y.view, f32_weight(w, 2, 3), x.view,
                 {.bias = bias, .activation = Activation::relu, .accumulate = true});
  EXPECT_EQ(values(y), (std::vector<float>{13, 20, -0.5f, 14}));
}

TEST_F(Reference, GatedAndMixture) {
  const std::vector<float> gate = {1, 0, 0, 1}, up = {2, 0, 0, 3};
  const Matrix x = matrix(1, 2, {1, -2});
  Matrix y(1, 2);
  device->gated(y.view, f32_weight(gate, 2, 2), f32_weight(up, 2, 2), x.view, Activation::relu);
  EXPECT_EQ(values(y), (std::vector<float>{2, 0}));

  const std::vector<float> gates = {1, 0, 0, 1, 2, 0, 0, 2}, ups = {2, 0, 0, 3, 1, 1, 1, 1},
                           downs = {1, 1, 0, 1, 1, 0, 0, 1};
  const MoeWeights moe{f32_weight(gates, 2, 2, 2), f32_weight(ups, 2, 2, 2), f32_weight(downs, 2, 2, 2),
                       Activation::none};
  const std::vector<std::int32_t> experts = {1, 0};
  const std::vector<float> weights = {0.5f, 0.25f};
  Matrix z = matrix(1, 2, {100, 200});
  device->moe(z.view, moe, {2, experts, weights}, x.view);
  // expert 1: gate (2, -4), up (-1, -1): (-2, 4); down the same. expert 0: (1 * 2, -2 * -6) = (2, 12), down (14, 12).
  EXPECT_EQ(values(z), (std::vector<float>{100 + 0.5f * -2 + 0.25f * 14, 200 + 0.5f * 4 + 0.25f * 12}));
}

TEST_F(Reference, Norms) {
  Matrix y(1, 2);
  device->rms_norm(y.view, matrix(1, 2, {3, 4}).view, std::vector<float>{1, 2}, 0.0f);
  EXPECT_FLOAT_EQ(y.view.data[0], 3 / std::sqrt(12.5f));
  EXPECT_FLOAT_EQ(y.view.data[1], 8 / std::sqrt(12.5f));
  device->layer_norm(y.view, matrix(1, 2, {1, 5}).view, std::vector<float>{1, 2}, std::vector<float>{0, 10}, 0.0f);
  EXPECT_EQ(values(y), (std::vector<float>{-1, 12}));
}

TEST_F(Reference, ActivationsAtOne) {
  const struct {
    Activation act;
    float at_one, at_minus_one;
  } cases[] = {{Activation::none, 1, -1},
               {Activation::relu, 1, 0},
               {Activation::relu_squared, 1, 0},
               {Activation::silu, 0.731058579f, -0.268941421f},
               {Activation::gelu_tanh, 0.841191991f, -0.158808009f},
               {Activation::gelu_erf, 0.841344746f, -0.158655254f},
               {Activation::gelu_quick, 0.845795767f, -0.154204233f}};
  for (const auto& c : cases) {
    Matrix y = matrix(1, 3, {1, -1, 2});
    device->activate(y.view, y.view, c.act);
    EXPECT_FLOAT_EQ(y.view.data[0], c.at_one) << static_cast<int>(c.act);
    EXPECT_FLOAT_EQ(y.view.data[1], c.at_minus_one) << static_cast<int>(c.act);
  }
  Matrix y = matrix(1, 1, {2});
  device->activate(y.view, y.view, Activation::relu_squared);
  EXPECT_EQ(y.view.data[0], 4.0f);
}

TEST_F(Reference, AttentionWeighsValues) {
  // scores ln 3 and 0: weights 3/4 and 1/4
  const float ln3 = std::log(3.0f);
  const Matrix q = matrix(2, 1, {ln3, 1}), k = matrix(2, 1, {1, 0}), v = matrix(2, 1, {4, 8});
  Matrix y(2, 1);
  const std::vector<KeyRange> ranges = {{0, 2}, {1, 1}};
  device->attention(y.view, q.view, k.view, v.view, ranges, {1, 1, 1, 1, 1.0f, 0.0f});
  EXPECT_FLOAT_EQ(y.view.data[0], 5.0f);
  EXPECT_EQ(y.view.data[1], 0.0f);  // sees nothing
}

TEST_F(Reference, UnfoldOrderIsChannelRowColumn) {
  const Matrix x = matrix(4, 2, {1, 10, 2, 20, 3, 30, 4, 40});  // 2 x 2 pixels, 2 channels
  Matrix y(1, 8);
  device->unfold(y.view, x.view, {2, 2, 2, 2, 2, 1, 1, 0, 0}, false);
  EXPECT_EQ(values(y), (std::vector<float>{1, 2, 3, 4, 10, 20, 30, 40}));
  Matrix padded(9, 2);  // every second pixel of the picture inside a border of two
  device->unfold(padded.view, x.view, {2, 2, 2, 1, 1, 2, 2, 2, 2}, false);
  EXPECT_EQ(values(padded), (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 1, 10, 0, 0, 0, 0, 0, 0, 0, 0}));
  Matrix pooled(1, 2);
  device->average_pool(pooled.view, x.view, 2, 2, 2);
  EXPECT_EQ(values(pooled), (std::vector<float>{2.5f, 25}));
}

TEST(RopeTables, PlainAnglesAndFactors) {
  RopeSpec spec;
  spec.n_dims = 4, spec.base = 100.0f, spec.magnitude = 2.0f, spec.frequency_scale = 0.5f;
  spec.factors = {1.0f, 4.0f};
  const RopeTable table = rope_table(spec, std::vector<Position>{{3, 9, 9, 9}});
  ASSERT_EQ(table.tokens, 1);
  ASSERT_EQ(table.pairs, 2);
  EXPECT_FLOAT_EQ(table.cos[0], 2 * std::cos(1.5f));
  EXPECT_FLOAT_EQ(table.sin[1], 2 * std::sin(3 * 0.5f * 0.1f / 4));
}

TEST(RopeTables, SectionsFollowTheirAxis) {
  RopeSpec spec;
  spec.n_dims = 16, spec.base = 1.0f;  // every pair turns by its coordinate
  spec.sections = {3, 3, 2, 0};
  const std::vector<Position> at = {{1, 2, 3, 0}};
  const auto axes = [&] {
    std::vector<float> turned = rope_table(spec, at).sin;
    for (float& s : turned)
      s = s == std::sin(1.0f) ? 1.0f : s == std::sin(2.0f) ? 2.0f : s == std::sin(3.0f) ? 3.0f : 0.0f;
    return turned;
  };
  EXPECT_EQ(axes(), (std::vector<float>{1, 1, 1, 2, 2, 2, 3, 3}));
  spec.interleaved_sections = true;
  EXPECT_EQ(axes(), (std::vector<float>{1, 2, 3, 1, 2, 3, 1, 2}));
  spec.sections = {2, 3, 3, 0};  // t is over before pair 6, which then follows z
  EXPECT_EQ(axes(), (std::vector<float>{1, 2, 3, 1, 2, 3, 0, 2}));
}

TEST(RopeTables, YarnKeepsFastPairsAndStretchesSlowOnes) {
  RopeSpec spec;
  spec.n_dims = 64, spec.base = 10000.0f, spec.original_context = 4096, spec.frequency_scale = 1.0f / 16;
  const std::vector<Position> at = {{1}};
  const std::vector<float> stretched = rope_table(spec, at).sin;
  spec.yarn_ext_factor = 1.0f;
  const std::vector<float> yarn = rope_table(spec, at).sin;
  spec.yarn_ext_factor = 0.0f, spec.frequency_scale = 1.0f;
  const std::vector<float> original = rope_table(spec, at).sin;
  EXPECT_EQ(yarn.front(), original.front());
  EXPECT_EQ(yarn.back(), stretched.back());
  for (std::size_t i = 0; i < yarn.size(); ++i) {
    EXPECT_GE(yarn[i], stretched[i] * 0.999999f) << i;
    EXPECT_LE(yarn[i], original[i] * 1.000001f) << i;
  }
}

TEST(RopeTables, VisionHalvesTurnWithRowAndColumn) {
  const RopeTable table = vision_rope_table(8, 10000.0f, std::vector<Position>{{0, 5, 7, 0}});
  ASSERT_EQ(table.pairs, 4);
  EXPECT_FLOAT_EQ(table.sin[0], std::sin(5.0f));
  EXPECT_FLOAT_EQ(table.sin[1], std::sin(0.05f));  // 5 * 10000^(-4/8)
  EXPECT_FLOAT_EQ(table.sin[2], std::sin(7.0f));
  EXPECT_FLOAT_EQ(table.cos[3], std::cos(0.07f));
}

TEST(RopeTables, ScoresDependOnDistanceOnly) {
  RopeSpec spec;
  spec.n_dims = 32;
  const auto device = make_device("reference");
  const Matrix q = Matrix::random(1, 32, 1), k = Matrix::random(1, 32, 2);
  const auto score = [&](std::int32_t p, std::int32_t at, RopePairs pairs) {
    Matrix a = q, b = k;
    device->rope(a.view, 32, rope_table(spec, std::vector<Position>{{p}}), pairs);
    device->rope(b.view, 32, rope_table(spec, std::vector<Position>{{at}}), pairs);
    double dot = 0.0;
    for (int i = 0; i < 32; ++i) dot += double{a.view.data[i]} * b.view.data[i];
    return dot;
  };
  for (const RopePairs pairs : {RopePairs::adjacent, RopePairs::halves}) {
    EXPECT_NEAR(score(3, 1, pairs), score(503, 501, pairs), 1e-4);
    EXPECT_GT(std::abs(score(3, 1, pairs) - score(3, 2, pairs)), 1e-3);
  }
}

TEST(RopeTables, NonsenseIsAModelError) {
  RopeSpec spec;
  spec.n_dims = 8;
  spec.factors = {1.0f};
  try {
    rope_table(spec, {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::model);
  }
  EXPECT_THROW(vision_rope_table(6, 10000.0f, {}), Error);
}

}  // namespace
}  // namespace mtmd::test
