// The watching device on hand-made tensors: what it adds up is known.
#include "mtmd/quality/observing_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/base/error.h"
#include "engine/gguf/writer.h"

namespace mtmd::quality {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

std::vector<float> noise(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> gauss;
  std::vector<float> v(n);
  for (float& x : v) x = gauss(random);
  return v;
}

class Observing : public ::testing::Test {
 protected:
  static constexpr std::int64_t kD = 3, kFf = 2, kExperts = 3;

  Observing() {
    gguf::Writer w;
    unsigned seed = 1;
    const auto add = [&](const char* name, std::vector<std::int64_t> shape) {
      std::int64_t n = 1;
      for (const auto d : shape) n *= d;
      const auto v = noise(static_cast<std::size_t>(n), seed++);
      w.add_tensor(name, DType::F32, std::move(shape), [v](const auto& sink) { sink(std::as_bytes(std::span(v))); });
    };
    add("blk.0.attn_qkv.weight", {6, kD});
    add("blk.0.attn_output.weight", {2, kD});
    add("blk.0.ffn_gate_exps.weight", {kExperts, kFf, kD});
    add("blk.0.ffn_up_exps.weight", {kExperts, kFf, kD});
    add("blk.0.ffn_down_exps.weight", {kExperts, kD, kFf});
    add("blk.0.ffn_gate_up_exps.weight", {kExperts, 2 * kFf, kD});
    add("output.weight", {4, kD});
    bytes_ = w.to_memory();
    file_.emplace(gguf::File::from_memory(bytes_, "m"));
    inner_ = make_device("reference");
  }

  Weight weight(const char* name) const {
    const gguf::TensorInfo* t = file_->find(name);
    const std::int64_t experts = t->shape.size() > 2 ? t->shape[0] : 1;
    return {t->type, t->data.data(), t->n_values() / t->shape.back() / experts, t->shape.back(), experts};
  }
  Tensor tensor(std::vector<float>& v, std::int64_t cols) const { return {v.data(), std::ssize(v) / cols, cols}; }

  std::vector<std::byte> bytes_;
  std::optional<gguf::File> file_;
  std::unique_ptr<Device> inner_;
};

TEST_F(Observing, PartsOfOneTensorCountOnceAndProductsAreUnchanged) {
  ObservingDevice device(*inner_, *file_, {});
  std::vector<float> x = {1, 2, 3, -4, 5, 0}, q(8), k(4), want(8);
  const Weight qkv = weight("blk.0.attn_qkv.weight");
  device.matmul({{tensor(q, 4), qkv.rows_at(0, 4), {}}, {tensor(k, 2), qkv.rows_at(4, 2), {}}}, tensor(x, kD));
  inner_->matmul(tensor(want, 4), qkv.rows_at(0, 4), tensor(x, kD));
  EXPECT_EQ(q, want);
  const ImportanceMatrix m = device.seen();
  ASSERT_EQ(m.entries.size(), 1u);
  EXPECT_THAT(m.find("blk.0.attn_qkv.weight")->sums, ElementsAre(17, 29, 9));
  EXPECT_THAT(m.find("blk.0.attn_qkv.weight")->counts, ElementsAre(2));
}

TEST_F(Observing, OutputOnlyWhenAskedAndSkippedRowsAreNotComputed) {
  for (const bool output : {false, true}) {
    ObservingDevice device(*inner_, *file_, {.output = output});
    std::vector<float> x = {1, 2, 3, -4, 5, 0}, y(8, 7.0f), want(4);
    const Weight w = weight("output.weight");
    device.skip_logits(1);
    device.matmul(tensor(y, 4), w, tensor(x, kD));
    inner_->matmul(tensor(want, 4), w, tensor(x, kD).rows_at(1, 1));
    EXPECT_THAT(std::vector<float>(y.begin(), y.begin() + 4), ElementsAre(7, 7, 7, 7));
    EXPECT_EQ(std::vector<float>(y.begin() + 4, y.end()), want);
    EXPECT_EQ(device.seen().entries.size(), output ? 1u : 0u);
    if (output) {
      EXPECT_THAT(device.seen().find("output.weight")->sums, ElementsAre(17, 29, 9));
    }
  }
}

TEST_F(Observing, ManyRowsInOddShapes) {
  constexpr std::int64_t kRows = 61;
  for (const std::int64_t cols : {1, 255, 256, 257, 700}) {
    gguf::Writer w;
    const auto weights = noise(static_cast<std::size_t>(2 * cols), 3);
    w.add_tensor("blk.0.a.weight", DType::F32, {2, cols}, std::as_bytes(std::span(weights)));
    const auto bytes = w.to_memory();
    const auto file = gguf::File::from_memory(bytes, "m");
    ObservingDevice device(*inner_, file, {});
    std::vector<float> x = noise(static_cast<std::size_t>(kRows * (cols + 3)), 4), y(2 * kRows);
    const Tensor view(x.data(), kRows, cols, cols + 3);
    const Weight a{DType::F32, file.tensors()[0].data.data(), 2, cols, 1};
    device.matmul(tensor(y, 2), a, view);
    device.matmul(tensor(y, 2), a, view);
    std::vector<float> want(static_cast<std::size_t>(cols));
    for (std::int64_t c = 0; c < cols; ++c) {
      double sum = 0;
      for (std::int64_t r = 0; r < kRows; ++r) sum += double{view.row(r)[c]} * view.row(r)[c];
      want[static_cast<std::size_t>(c)] = static_cast<float>(2 * sum);
    }
    const ImportanceMatrix m = device.seen();
    EXPECT_THAT(m.entries.at("blk.0.a.weight").counts, ElementsAre(2 * kRows));
    EXPECT_THAT(m.entries.at("blk.0.a.weight").sums, Pointwise(FloatNear(1e-3f), want));
  }
}

/// Experts 0 and 2 are chosen, 1 never: its counts stay 0. The sums of the last product are of what the first two make.
TEST_F(Observing, ExpertsAreCountedOneByOneAndTheResultIsTheDevices) {
  for (const bool stacked : {false, true}) {
    ObservingDevice device(*inner_, *file_, {});
    std::vector<float> x = noise(4 * kD, 9), y(4 * kD, 0.5f), want = y;
    const std::vector<float> gate_bias = noise(kExperts * kFf, 10), up_bias = noise(kExperts * kFf, 11),
                             down_bias = noise(kExperts * kD, 12);
    MoeWeights w;
    w.down = weight("blk.0.ffn_down_exps.weight");
    if (stacked) {
      w.gate_up = weight("blk.0.ffn_gate_up_exps.weight");
    } else {
      w.gate = weight("blk.0.ffn_gate_exps.weight");
      w.up = weight("blk.0.ffn_up_exps.weight");
    }
    w.gate_bias = gate_bias, w.up_bias = up_bias, w.down_bias = down_bias;
    const std::vector<std::int32_t> chosen = {0, 2, 2, 0, 2, 0, 0, 2};
    const std::vector<float> share = {0.3f, 0.7f, 0.5f, 0.5f, 0.1f, 0.9f, 0.8f, 0.2f};
    const MoeRouting routing{2, chosen, share};
    device.moe(tensor(y, kD), w, routing, tensor(x, kD));
    inner_->moe(tensor(want, kD), w, routing, tensor(x, kD));
    EXPECT_THAT(y, Pointwise(FloatNear(1e-5f), want));

    const ImportanceMatrix m = device.seen();
    const Importance& up = m.entries.at(stacked ? "blk.0.ffn_gate_up_exps.weight" : "blk.0.ffn_up_exps.weight");
    EXPECT_EQ(m.entries.size(), stacked ? 2u : 3u);
    EXPECT_THAT(up.counts, ElementsAre(4, 0, 4));
    for (std::size_t c = 0; c < kD; ++c) {
      double sum = 0;
      for (std::size_t t = 0; t < 4; ++t) sum += double{x[t * kD + c]} * x[t * kD + c];
      EXPECT_NEAR(up.sums[c], sum, 1e-5);  // every token went to both
      EXPECT_EQ(up.sums[kD + c], 0);
      EXPECT_NEAR(up.sums[2 * kD + c], sum, 1e-5);
    }
    const Importance& down = m.entries.at("blk.0.ffn_down_exps.weight");
    EXPECT_THAT(down.counts, ElementsAre(4, 0, 4));
    std::vector<float> hidden(4 * kFf);
    inner_->gated(tensor(hidden, kFf), w.gate_of(2), w.up_of(2), tensor(x, kD), w.activation,
                  std::span(gate_bias).subspan(2 * kFf, kFf), std::span(up_bias).subspan(2 * kFf, kFf));
    for (std::size_t c = 0; c < kFf; ++c) {
      double sum = 0;
      for (std::size_t t = 0; t < 4; ++t) sum += double{hidden[t * kFf + c]} * hidden[t * kFf + c];
      EXPECT_NEAR(down.sums[2 * kFf + c], sum, 1e-6 * sum);
    }
  }
}

TEST_F(Observing, NumbersThatAreNoneAreNamed) {
  ObservingDevice device(*inner_, *file_, {});
  std::vector<float> x = {1, NAN, 3}, y(2);
  device.matmul(tensor(y, 2), weight("blk.0.attn_output.weight"), tensor(x, kD));
  try {
    device.seen();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::failed);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("blk.0.attn_output.weight"));
  }
}

}  // namespace
}  // namespace mtmd::quality
