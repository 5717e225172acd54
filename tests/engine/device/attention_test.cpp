// Attention on the CPU, tiled and for single queries, over matrices and paged caches, against the reference.
#include <limits>

#include "engine/device/device_fixture.h"
#include "engine/tensor/dtype.h"

namespace mtmd::test {
namespace {

struct Case {
  std::int64_t n_queries, n_keys;
  AttentionOptions options;
};

std::string name_of(const Case& c) {
  return fmt::format("{} queries, {} keys, {}/{} heads of {}/{}, cap {}", c.n_queries, c.n_keys, c.options.n_heads,
                     c.options.n_kv_heads, c.options.key_dim, c.options.value_dim, c.options.softcap);
}

double largest_norm(const Tensor& t, std::int64_t dim) {
  double largest = 0.0;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    for (std::int64_t h = 0; h < t.cols; h += dim) {
      double squares = 0.0;
      for (std::int64_t i = 0; i < dim; ++i) squares += double{t.row(r)[h + i]} * t.row(r)[h + i];
      largest = std::max(largest, std::sqrt(squares));
    }
  }
  return largest;
}

/// A score is a sum of key_dim products, off by at most (d + 4) roundings of sum |q k| <= |q| |k|; an output is a mean
/// of values, its weights off by twice that and its sums by one rounding per key.
/// Lower precision rounds every operand by `u`, and e^s of scores that are off by x is off by e^x - 1.
double operand_rounding(Precision p) {
  if (p == Precision::bf16 || p == Precision::bf16_exact) return 0x1p-9;
  return p == Precision::f32 ? 0 : 0x1p-16;
}

double tolerance(const Case& c, const Tensor& q, const Tensor& k, const Tensor& v) {
  double largest_value = 0.0;
  for (std::int64_t r = 0; r < v.rows; ++r)
    for (float x : v.row_span(r)) largest_value = std::max(largest_value, std::abs(double{x}));
  const auto d = static_cast<double>(c.options.key_dim);
  const double score = (d + 4) * kRounding * std::abs(c.options.scale) * largest_norm(q, c.options.key_dim) *
                       largest_norm(k, c.options.key_dim);
  const double exact = largest_value * (2 * score + (2.0 * static_cast<double>(c.n_keys) + 32) * kRounding);
  const double u = operand_rounding(c.options.precision);
  const double lost =
      2.1 * u * std::abs(c.options.scale) * largest_norm(q, c.options.key_dim) * largest_norm(k, c.options.key_dim);
  return exact + largest_value * (std::expm1(2 * lost) + 4 * u);
}

enum class Mask { full, causal, window, odd };

std::vector<KeyRange> ranges_of(Mask mask, std::int64_t n_queries, std::int64_t n_keys) {
  std::vector<KeyRange> ranges;
  std::mt19937 generator(5);
  for (std::int64_t i = 0; i < n_queries; ++i) {
    const auto nk = static_cast<std::int32_t>(n_keys);
    const auto end = static_cast<std::int32_t>(std::clamp<std::int64_t>(n_keys - n_queries + 1 + i, 0, n_keys));
    switch (mask) {
      case Mask::full:
        ranges.push_back({0, nk});
        break;
      case Mask::causal:
        ranges.push_back({0, end});
        break;
      case Mask::window:
        ranges.push_back({std::max(0, end - 20), end});
        break;
      case Mask::odd: {  // anything, also nothing
        const auto a = static_cast<std::int32_t>(generator() % (n_keys + 1)),
                   b = static_cast<std::int32_t>(generator() % (n_keys + 1));
        ranges.push_back(i % 5 == 0 ? KeyRange{a, a} : KeyRange{std::min(a, b), std::max(a, b)});
      }
    }
  }
  return ranges;
}

void check(const Case& c, Mask mask) {
  const AttentionOptions& o = c.options;
  const Matrix q = Matrix::random(c.n_queries, o.n_heads * o.key_dim, 1, 1.0f, 3);
  const Matrix k = Matrix::random(c.n_keys, o.n_kv_heads * o.key_dim, 2, 1.0f, 5);
  const Matrix v = Matrix::random(c.n_keys, o.n_kv_heads * o.value_dim, 3, 1.0f, 1);
  const std::vector<KeyRange> ranges = ranges_of(mask, c.n_queries, c.n_keys);
  const double limit = tolerance(c, q.view, k.view, v.view);
  expect_like_reference(
      Matrix(c.n_queries, o.n_heads * o.value_dim, 2),
      [&](Device& d, Tensor y) { d.attention(y, q.view, k.view, v.view, ranges, o); },
      [&](std::int64_t, std::int64_t, double) { return limit; },
      name_of(c) + " mask " + std::to_string(static_cast<int>(mask)));
}

AttentionOptions heads(std::int32_t n, std::int32_t n_kv, std::int32_t dk, std::int32_t dv, float softcap = 0.0f) {
  return {n, n_kv, dk, dv, 1.0f / std::sqrt(static_cast<float>(dk)), softcap};
}

TEST(Attention, OddShapes) {
  const Case cases[] = {
      {1, 1, heads(1, 1, 1, 1)},
      {1, 300, heads(4, 2, 64, 64)},
      {2, 257, heads(3, 1, 5, 9)},
      {3, 513, heads(6, 2, 80, 72)},
      {4, 4, heads(2, 2, 8, 8)},
      {5, 127, heads(7, 1, 17, 3)},
      {7, 129, heads(4, 4, 72, 72)},
      {47, 128, heads(1, 1, 80, 80)},
      {49, 300, heads(2, 1, 33, 47)},
      {97, 260, heads(4, 2, 64, 64)},
      {12, 40, heads(2, 1, 128, 128, 30.0f)},
      {2, 40, heads(4, 1, 31, 31, 5.0f)},
      {100, 100, heads(6, 3, 16, 24)},
  };
  for (const Case& c : cases)
    for (const Mask mask : {Mask::full, Mask::causal, Mask::window, Mask::odd}) check(c, mask);
}

TEST(Attention, LowerPrecision) {
  for (const Precision precision : {Precision::f16, Precision::bf16_exact, Precision::bf16}) {
    Case cases[] = {
        {4, 4, heads(2, 2, 8, 8)},        {5, 127, heads(7, 1, 17, 3)},           {33, 257, heads(4, 4, 72, 72)},
        {31, 256, heads(1, 1, 80, 80)},   {49, 300, heads(2, 1, 33, 47)},         {97, 260, heads(4, 2, 64, 64)},
        {16, 530, heads(4, 1, 128, 128)}, {12, 40, heads(2, 1, 128, 128, 30.0f)}, {100, 100, heads(6, 3, 16, 24)},
    };
    for (Case& c : cases) {
      c.options.precision = precision;
      for (const Mask mask : {Mask::full, Mask::causal, Mask::window, Mask::odd}) check(c, mask);
    }
    Case long_one{50, 4500, heads(1, 1, 250, 250)};
    long_one.options.precision = precision;
    check(long_one, Mask::odd);
  }
}

TEST(Attention, NotANumberComesThrough) {
  for (const std::string& isa : isas())
    for (const Precision precision : {Precision::f32, Precision::f16, Precision::bf16}) {
      const auto device = make_device("cpu", {.threads = 1, .isa = isa});
      Matrix q = Matrix::random(40, 24, 1), k = Matrix::random(300, 24, 2), v = Matrix::random(300, 24, 3), y(40, 24);
      AttentionOptions options = heads(1, 1, 24, 24);
      options.precision = precision;
      const std::vector<KeyRange> ranges(40, KeyRange{0, 300});
      q.view.row(7)[3] = std::numeric_limits<float>::quiet_NaN();
      device->attention(y.view, q.view, k.view, v.view, ranges, options);
      for (std::int64_t r = 0; r < 40; ++r) EXPECT_EQ(std::isnan(y.view.row(r)[0]), r == 7) << isa << " row " << r;
      v.view.row(299)[5] = std::numeric_limits<float>::infinity();
      device->attention(y.view, q.view, k.view, v.view, ranges, options);
      for (std::int64_t r = 0; r < 40; ++r) EXPECT_FALSE(std::isfinite(y.view.row(r)[5])) << isa << " row " << r;
    }
}

TEST(Attention, LongSequencesTakeSeveralPasses) {
  check({5, 4500, heads(4, 2, 256, 256)}, Mask::causal);
  check({50, 4500, heads(1, 1, 250, 250)}, Mask::odd);
  check({3, 4500, heads(4, 2, 24, 20)}, Mask::odd);  // chunks of several tiles
  check({1, 4500, heads(4, 2, 24, 20)}, Mask::window);
}

TEST(Attention, HugeScoresStayFinite) {
  Matrix q = Matrix::random(50, 8, 1, 1e4f), k = Matrix::random(60, 8, 2, 1e4f), v = Matrix::random(60, 8, 3);
  const std::vector<KeyRange> ranges(50, KeyRange{0, 60});
  for (const std::string& isa : isas()) {
    const auto device = make_device("cpu", {.threads = 1, .isa = isa});
    for (std::int64_t n : {std::int64_t{1}, std::int64_t{50}}) {
      Matrix y(n, 8);
      device->attention(y.view, q.view.rows_at(0, n), k.view, v.view, std::span(ranges).first(n), heads(1, 1, 8, 8));
      for (std::int64_t i = 0; i < y.view.size(); ++i) ASSERT_TRUE(std::isfinite(y.view.data[i])) << isa;
    }
  }
}

TEST(Attention, OutputMayBeTheQuery) {
  for (std::int64_t n : {2, 60}) {
    const Matrix q = Matrix::random(n, 64, 1), k = Matrix::random(700, 32, 2), v = Matrix::random(700, 32, 3);
    const std::vector<KeyRange> ranges(n, KeyRange{0, 700});
    const Case c{n, 700, heads(4, 2, 16, 16)};
    const double limit = tolerance(c, q.view, k.view, v.view);
    expect_like_reference(
        q, [&](Device& d, Tensor y) { d.attention(y, y, k.view, v.view, ranges, c.options); },
        [&](std::int64_t, std::int64_t, double) { return limit; }, "attention in place");
  }
}

/// Two sequences with scattered blocks in one cache.
struct PagedCache {
  KvLayer layer;
  std::shared_ptr<std::byte[]> k, v;
  std::vector<std::int32_t> blocks[2];

  PagedCache(Device& device, DType type, std::int64_t n_keys, const AttentionOptions& o, std::int32_t block_tokens) {
    layer = {type, nullptr, nullptr, block_tokens, 0, o.n_kv_heads * o.key_dim, o.n_kv_heads * o.value_dim};
    const auto per_sequence = static_cast<std::int32_t>((n_keys + block_tokens - 1) / block_tokens);
    layer.n_blocks = 2 * per_sequence + 1;
    std::vector<std::int32_t> order(layer.n_blocks);
    for (std::int32_t i = 0; i < layer.n_blocks; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), std::mt19937(6));
    blocks[0].assign(order.begin(), order.begin() + per_sequence);
    blocks[1].assign(order.begin() + per_sequence, order.end());
    const std::size_t rows = std::size_t(layer.n_blocks) * block_tokens;
    k = device.allocate(rows * row_bytes(type, layer.key_cols));
    v = device.allocate(rows * row_bytes(type, layer.value_cols));
    layer.k = k.get(), layer.v = v.get();
  }

  void fill(Device& device, std::int64_t n_keys) {
    for (int s = 0; s < 2; ++s) {
      const Matrix keys = Matrix::random(n_keys, layer.key_cols, 20 + s, 1.0f, 3);
      const Matrix values = Matrix::random(n_keys, layer.value_cols, 30 + s, 1.0f, 3);
      std::vector<std::int64_t> rows;
      for (std::int64_t i = 0; i < n_keys; ++i)
        rows.push_back(std::int64_t{blocks[s][i / layer.block_tokens]} * layer.block_tokens + i % layer.block_tokens);
      device.kv_store(layer, keys.view, values.view, rows);
    }
  }
};

class Paged : public testing::TestWithParam<DType> {};

void check_paged(DType type, const Case& c, std::int32_t block_tokens) {
  const AttentionOptions& o = c.options;
  const auto reference = make_device("reference");
  PagedCache cache(*reference, type, c.n_keys, o, block_tokens);
  cache.fill(*reference, c.n_keys);
  const Matrix q = Matrix::random(c.n_queries, o.n_heads * o.key_dim, 1);
  std::vector<PagedQuery> queries;
  const auto ranges = ranges_of(Mask::causal, c.n_queries, c.n_keys);
  for (std::int64_t i = 0; i < c.n_queries; ++i)  // the first sequence, and two last queries of the other
    queries.push_back({cache.blocks[i >= c.n_queries - 2 && c.n_queries > 2], ranges[i]});
  const double limit = tolerance(c, q.view, Matrix::random(c.n_keys, cache.layer.key_cols, 20).view,
                                 Matrix::random(c.n_keys, cache.layer.value_cols, 30).view) *
                       1.5;  // rounded K and V
  expect_like_reference(
      Matrix(c.n_queries, o.n_heads * o.value_dim),
      [&](Device& d, Tensor y) { d.attention(y, q.view, cache.layer, queries, o); },
      [&](std::int64_t, std::int64_t, double) { return limit; }, name_of(c) + " paged " + std::string(name(type)));
}

TEST_P(Paged, LikeReference) {
  check_paged(GetParam(), {1, 600, heads(4, 2, 64, 64)}, 32);
  check_paged(GetParam(), {2, 40, heads(4, 4, 32, 64)}, 16);
  check_paged(GetParam(), {7, 300, heads(8, 2, 80, 48)}, 32);  // heads that begin inside a Q8_0 block
  check_paged(GetParam(), {60, 333, heads(4, 2, 64, 32, 20.0f)}, 7);
  // One query each, straight from halves: groups of heads that are no multiple of those taken at a time, widths that
  // end within a register on one side.
  check_paged(GetParam(), {1, 205, heads(14, 2, 64, 64)}, 32);
  check_paged(GetParam(), {3, 77, heads(9, 3, 128, 96)}, 32);
  check_paged(GetParam(), {1, 90, heads(5, 1, 32, 160)}, 16);
  check_paged(GetParam(), {1, 1, heads(8, 8, 96, 32)}, 2);
}

TEST_P(Paged, StoresTheSameBytes) {
  const AttentionOptions o = heads(2, 2, 48, 16);
  const auto reference = make_device("reference");
  PagedCache want(*reference, GetParam(), 100, o, 16);
  want.fill(*reference, 100);
  for (const std::string& isa : isas()) {
    const auto device = make_device("cpu", {.threads = 2, .isa = isa});
    PagedCache got(*device, GetParam(), 100, o, 16);
    got.fill(*device, 100);
    const std::size_t rows = std::size_t(want.layer.n_blocks) * 16;
    EXPECT_EQ(std::memcmp(want.layer.k, got.layer.k, rows * row_bytes(GetParam(), want.layer.key_cols)), 0) << isa;
    EXPECT_EQ(std::memcmp(want.layer.v, got.layer.v, rows * row_bytes(GetParam(), want.layer.value_cols)), 0) << isa;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Paged, testing::Values(DType::F32, DType::F16, DType::Q8_0),
                         [](const auto& type) { return std::string(name(type.param)); });

}  // namespace
}  // namespace mtmd::test
