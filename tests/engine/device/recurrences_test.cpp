// Convolutions and delta rules along a sequence, attention sinks, experts with biases: the CPU in every instruction set
// against the reference, and the reference against its definition.
#include "engine/device/device_fixture.h"
#include "engine/tensor/dtype.h"

namespace mtmd::test {
namespace {

/// One sequence of `n` random keys scattered over the blocks of a cache without values.
struct KeyCache {
  KvLayer layer;
  std::shared_ptr<std::byte[]> memory;
  std::vector<std::int32_t> blocks;

  KeyCache(Device& device, DType type, std::int32_t n, std::int32_t cols, std::int32_t block_tokens) {
    const std::int32_t n_blocks = (n + block_tokens - 1) / block_tokens + 1;
    memory = device.allocate(row_bytes(type, cols) * static_cast<std::size_t>(n_blocks * block_tokens));
    layer = {type, memory.get(), nullptr, block_tokens, n_blocks, cols, 0};
    for (std::int32_t b = n_blocks - 1; b > 0; --b) blocks.push_back(b);
    const Matrix keys = Matrix::random(n, cols, 4);
    std::vector<std::int64_t> rows;
    for (std::int32_t i = 0; i < n; ++i)
      rows.push_back(std::int64_t{blocks[i / block_tokens]} * block_tokens + i % block_tokens);
    device.kv_store(layer, keys.view, Tensor(nullptr, n, 0), rows);
  }
  std::vector<PagedQuery> causal(std::int32_t n, std::int32_t begin) const {
    std::vector<PagedQuery> queries;
    for (std::int32_t i = 0; i < n; ++i) queries.push_back({blocks, {std::min(begin, i), i + 1}});
    return queries;
  }
};

TEST(CausalConv, IsItsDefinition) {
  const auto device = make_device("reference");
  const KeyCache cache(*device, DType::F32, 3, 1, 2);
  const float* keys = reinterpret_cast<const float*>(cache.memory.get());
  const float x[] = {keys[4], keys[5], keys[2]};  // blocks 2 and 1
  const std::vector<float> kernel = {10, 100};
  Matrix y(3, 1);
  device->causal_conv(y.view, cache.layer, cache.causal(3, 0), kernel);
  EXPECT_FLOAT_EQ(y.view.row(0)[0], 100 * x[0]);
  EXPECT_FLOAT_EQ(y.view.row(1)[0], 10 * x[0] + 100 * x[1]);
  EXPECT_FLOAT_EQ(y.view.row(2)[0], 10 * x[1] + 100 * x[2]);
}

TEST(CausalConv, LikeReference) {
  const auto reference = make_device("reference");
  for (const DType type : {DType::F32, DType::F16, DType::Q8_0}) {
    for (const std::int32_t cols : {32, 96, 1056}) {
      for (const std::int32_t taps : {1, 3, 4}) {
        const KeyCache cache(*reference, type, 41, cols, 6);
        const std::vector<float> kernel = random_vector(std::int64_t{cols} * taps, 5);
        for (const std::int32_t begin : {0, 17}) {
          const auto queries = cache.causal(41, begin);
          const auto close = [&](std::int64_t, std::int64_t, double) { return 2.0 * taps * kRounding * 4 * 4; };
          expect_like_reference(
              Matrix(41, cols, 3), [&](Device& d, Tensor y) { d.causal_conv(y, cache.layer, queries, kernel); }, close,
              fmt::format("causal_conv {} {} x {}", name(type), cols, taps));
        }
      }
    }
  }
}

TEST(DeltaRule, HoldsWhatItWasTold) {
  const auto device = make_device("reference");
  const DeltaHeads heads{1, 2, 2, 1};
  Matrix state(4, 1), q(2, 2), v(2, 2), decay(2, 2), beta(2, 2), y(2, 2);
  std::fill(state.values.begin(), state.values.end(), 0.0f);
  const float keys[] = {1, 0, 0, 1}, queries[] = {1, 0, 1, 1}, values[] = {5, 7, 2, 4}, keep[] = {1, 1, 1, 0.5f},
              part[] = {1, 0.5f, 1, 1};
  const auto matrix = [](const float* data) { return Tensor(const_cast<float*>(data), 2, 2); };
  device->delta_rule(y.view, matrix(queries), matrix(keys), matrix(values), matrix(keep), matrix(part), state.view,
                     heads);
  EXPECT_FLOAT_EQ(y.view.row(0)[0], 5);         // asked for the first key: its value
  EXPECT_FLOAT_EQ(y.view.row(0)[1], 3.5);       // half of it where beta is a half
  EXPECT_FLOAT_EQ(y.view.row(1)[0], 5 + 2);     // both keys
  EXPECT_FLOAT_EQ(y.view.row(1)[1], 1.75 + 4);  // the first one decayed
}

TEST(DeltaRule, LikeReference) {
  const DeltaHeads shapes[] = {{1, 1, 1, 1}, {2, 4, 16, 24}, {1, 3, 33, 17}, {4, 4, 128, 128}};
  for (const DeltaHeads& h : shapes) {
    const std::int64_t n = 9, kv = std::int64_t{h.n_value_heads} * h.key_dim;
    Matrix q = Matrix::random(n, h.n_key_heads * h.key_dim, 1), k = Matrix::random(n, h.n_key_heads * h.key_dim, 2);
    const Matrix v = Matrix::random(n, h.n_value_heads * h.value_dim, 3);
    Matrix decay = Matrix::random(n, h.n_value_heads, 4), beta = Matrix::random(n, h.n_value_heads, 5);
    const auto device = make_device("reference");
    device->activate(decay.view, decay.view, Activation::sigmoid);
    device->activate(beta.view, beta.view, Activation::sigmoid);
    for (Matrix* m : {&q, &k}) {  // keys of length 1 keep the state bounded, as in the models
      const Tensor heads = m->view.reshaped(n * h.n_key_heads, h.key_dim);
      device->rms_norm(heads, heads, {}, 1e-6f);
      device->scale(heads, heads, 1.0f / std::sqrt(static_cast<float>(h.key_dim)));
    }
    const Matrix start = Matrix::random(kv, h.value_dim, 6);
    // Per step key_dim products of values below about 5, and the errors of the steps before.
    const auto close = [&](std::int64_t, std::int64_t, double) { return 9.0 * (h.key_dim + 8) * kRounding * 5; };
    expect_like_reference(
        Matrix(n, h.n_value_heads * h.value_dim, 2),
        [&](Device& d, Tensor y) {
          Matrix state = start;
          d.delta_rule(y, q.view, k.view, v.view, decay.view, beta.view, state.view, h);
        },
        close, "delta_rule");
    expect_like_reference(
        start,
        [&](Device& d, Tensor state) {
          Matrix y(n, h.n_value_heads * h.value_dim);
          d.delta_rule(y.view, q.view, k.view, v.view, decay.view, beta.view, state, h);
        },
        close, "delta_rule's state");
  }
}

TEST(Sinks, TakeTheirShare) {
  const auto device = make_device("reference");
  Matrix q(1, 1), k(2, 1), v(2, 1), y(1, 1);
  q.view.data[0] = 0.0f, v.view.data[0] = 3.0f, v.view.data[1] = 9.0f;
  k.view.data[0] = k.view.data[1] = 1.0f;
  const std::vector<float> sinks = {std::log(2.0f)};
  device->attention(y.view, q.view, k.view, v.view, std::vector<KeyRange>{{0, 2}},
                    {.n_heads = 1, .n_kv_heads = 1, .key_dim = 1, .value_dim = 1, .sinks = sinks});
  EXPECT_FLOAT_EQ(y.view.data[0], (3.0f + 9.0f) / 4.0f);  // each key counts 1, the sink 2
}

TEST(Sinks, LikeReference) {
  for (const std::int64_t n : {1, 3, 50}) {
    for (const float level : {-20.0f, 0.0f, 3.0f, 60.0f}) {
      const Matrix q = Matrix::random(n, 6 * 24, 1), k = Matrix::random(300, 2 * 24, 2),
                   v = Matrix::random(300, 2 * 20, 3);
      std::vector<float> sinks = random_vector(6, 4);
      for (float& s : sinks) s += level;
      std::vector<KeyRange> ranges;
      for (std::int32_t i = 0; i < n; ++i) ranges.push_back({i * 2, 300 - i});
      ranges[0] = {5, 5};  // nothing but the sink
      const AttentionOptions o{6, 2, 24, 20, 0.3f, 0.0f, sinks};
      const auto close = [](std::int64_t, std::int64_t, double) { return 700 * kRounding; };
      expect_like_reference(
          Matrix(n, 6 * 20, 1), [&](Device& d, Tensor y) { d.attention(y, q.view, k.view, v.view, ranges, o); }, close,
          fmt::format("{} queries, sinks near {}", n, level));
    }
  }
}

/// Weights [experts, rows, cols] of normal values.
Weight experts_of(const std::vector<float>& values, std::int64_t experts, std::int64_t rows, std::int64_t cols) {
  return {DType::F32, reinterpret_cast<const std::byte*>(values.data()), rows, cols, experts};
}

TEST(Experts, BiasesAndStackedSides) {
  const std::int64_t d = 24, ff = 40, experts = 5;
  const auto gate = random_vector(experts * ff * d, 1), up = random_vector(experts * ff * d, 2),
             down = random_vector(experts * d * ff, 3), gate_bias = random_vector(experts * ff, 4),
             up_bias = random_vector(experts * ff, 5), down_bias = random_vector(experts * d, 6);
  std::vector<float> stacked;
  for (std::int64_t e = 0; e < experts; ++e) {
    stacked.insert(stacked.end(), gate.begin() + e * ff * d, gate.begin() + (e + 1) * ff * d);
    stacked.insert(stacked.end(), up.begin() + e * ff * d, up.begin() + (e + 1) * ff * d);
  }
  MoeWeights apart{experts_of(gate, experts, ff, d), experts_of(up, experts, ff, d), experts_of(down, experts, d, ff)};
  apart.activation = Activation::swiglu_clamped;
  apart.gate_bias = gate_bias, apart.up_bias = up_bias, apart.down_bias = down_bias;
  MoeWeights together = apart;
  together.gate = together.up = {};
  together.gate_up = experts_of(stacked, experts, 2 * ff, d);
  for (const std::int64_t n : {1, 7, 33}) {
    const Matrix x = Matrix::random(n, d, 7), start = Matrix::random(n, d, 8);
    std::vector<std::int32_t> chosen;
    std::vector<float> weights;
    for (std::int32_t t = 0; t < n; ++t) {
      chosen.insert(chosen.end(), {t % 5, (t * 3 + 1) % 5 == t % 5 ? (t + 1) % 5 : (t * 3 + 1) % 5});
      weights.insert(weights.end(), {0.7f, 0.4f});
    }
    const MoeRouting routing{2, chosen, weights};
    // Hidden values reach 7 * 8, so an output sums 40 products of up to some hundreds.
    const auto close = [&](std::int64_t, std::int64_t, double) { return 80 * kRounding * 600; };
    for (const MoeWeights& w : {apart, together})
      expect_like_reference(
          start, [&](Device& device, Tensor y) { device.moe(y, w, routing, x.view); }, close, "moe");
    // Both forms are the same numbers, and the definition's.
    const auto device = make_device("reference");
    Matrix a = start, b = start, hidden(1, ff), out(1, d);
    device->moe(a.view, apart, routing, x.view);
    device->moe(b.view, together, routing, x.view);
    EXPECT_EQ(a.values, b.values);
    Matrix want = start;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const auto t = static_cast<std::int64_t>(i) / 2;
      const auto part = [&](const std::vector<float>& bias, std::int64_t count) {
        return Vector(bias).subspan(static_cast<std::size_t>(chosen[i] * count), static_cast<std::size_t>(count));
      };
      device->gated(hidden.view, apart.gate.expert(chosen[i]), apart.up.expert(chosen[i]), x.view.rows_at(t, 1),
                    apart.activation, part(gate_bias, ff), part(up_bias, ff));
      device->matmul(out.view, apart.down.expert(chosen[i]), hidden.view, {.bias = part(down_bias, d)});
      device->scale(out.view, out.view, weights[i]);
      device->add(want.view.rows_at(t, 1), want.view.rows_at(t, 1), out.view);
    }
    for (std::int64_t i = 0; i < want.view.size(); ++i) ASSERT_NEAR(want.view.data[i], a.view.data[i], 1e-4);
  }
}

TEST(Gates, ClampedSwigluIsItsDefinition) {
  // Of gpt-oss: min(g, 7) sigmoid(1.702 min(g, 7)) (clamp(u, -7, 7) + 1)
  const std::vector<float> one = {1.0f};
  const Weight w{DType::F32, reinterpret_cast<const std::byte*>(one.data()), 1, 1, 1};
  const auto device = make_device("reference");
  const auto gate = [&](float g, float u) {
    Matrix x(1, 1), y(1, 1);
    x.view.data[0] = 1.0f;
    const std::vector<float> gate_bias = {g - 1.0f}, up_bias = {u - 1.0f};
    device->gated(y.view, w, w, x.view, Activation::swiglu_clamped, gate_bias, up_bias);
    return y.view.data[0];
  };
  EXPECT_FLOAT_EQ(gate(2, 3), 2 / (1 + std::exp(-1.702f * 2)) * 4);
  EXPECT_FLOAT_EQ(gate(9, -9), 7 / (1 + std::exp(-1.702f * 7)) * -6);
  EXPECT_FLOAT_EQ(gate(-9, 9), -9 / (1 + std::exp(1.702f * 9)) * 8);
  const Matrix x = Matrix::random(1, 700, 3, 6.0f);
  const std::vector<float> up = random_vector(700 * 700, 4);
  const Weight wide{DType::F32, reinterpret_cast<const std::byte*>(up.data()), 700, 700, 1};
  expect_like_reference(
      Matrix(1, 700), [&](Device& d, Tensor y) { d.gated(y, wide, wide, x.view, Activation::swiglu_clamped); },
      [](std::int64_t, std::int64_t, double want) { return 1400 * kRounding * 6 * 8 + 1e-5 * std::abs(want); },
      "gated");
}

}  // namespace
}  // namespace mtmd::test
