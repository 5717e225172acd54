// The pieces of the decoder that can be judged alone: cutting batches and routing to experts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/base/error.h"
#include "engine/decoder/plan.h"
#include "engine/decoder/routing.h"

namespace mtmd::decoder {
namespace {

using testing::ElementsAre;

class PlanTest : public testing::Test {
 protected:
  std::unique_ptr<Device> device_ = make_device("reference");
  kv::Cache cache_{*device_, std::vector<kv::LayerShape>{{1, 1}}, {DType::F32, 64, 8}};
  Plan plan_;

  static Batch text(std::vector<kv::SequenceId> sequences) {
    Batch b;
    for (kv::SequenceId s : sequences) b.add_text(s, std::vector<std::int32_t>{7}, 0, false);
    return b;
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> cut(const Batch& b, std::int32_t n) {
    plan_.cut(b, n);
    std::vector<std::pair<std::int64_t, std::int64_t>> out;
    for (const Ubatch& u : plan_.ubatches) out.emplace_back(u.begin, u.end);
    return out;
  }
};

TEST_F(PlanTest, SequencesMayBeMixedRowByRow) {
  cache_.append(1, 3);
  const Batch b = text({0, 1, 1, 0, 2});
  plan_.append(b, cache_);
  EXPECT_THAT(plan_.index, ElementsAre(0, 3, 4, 1, 0));
  EXPECT_THAT(plan_.visible, ElementsAre(1, 4, 5, 2, 1));
  EXPECT_THAT(plan_.cache_rows, ElementsAre(8, 3, 4, 9, 16));
  plan_.undo(cache_);
  EXPECT_EQ(cache_.length(0), 0);
  EXPECT_EQ(cache_.length(1), 3);
}

TEST_F(PlanTest, ABlockSeesItsOwnSequenceToItsEnd) {
  Batch b = text({0, 0, 1, 0, 1});
  b.see_until = {4, 4, 5, 4, 5};
  plan_.append(b, cache_);
  EXPECT_THAT(plan_.visible, ElementsAre(3, 3, 2, 3, 2));
}

TEST_F(PlanTest, NothingIsAppendedWhenASequenceDoesNotFit) {
  cache_.append(5, 40);
  Batch b = text(std::vector<kv::SequenceId>(10, 0));
  b.add_text(1, std::vector<std::int32_t>(20, 7), 0, false);
  EXPECT_THROW(plan_.append(b, cache_), Error);
  EXPECT_EQ(cache_.length(0), 0);
  EXPECT_EQ(cache_.length(1), 0);
  EXPECT_EQ(cache_.free_tokens(), 24);
}

TEST_F(PlanTest, RefusesUnsoundBatches) {
  Batch b = text({0, 0});
  b.see_until = {1, 3};
  EXPECT_THROW(plan_.append(b, cache_), Error);
  b.see_until = {0, 2};
  EXPECT_THROW(plan_.append(b, cache_), Error);
  b.see_until = {1, 2};
  b.positions.pop_back();
  EXPECT_THROW(plan_.append(b, cache_), Error);
  EXPECT_EQ(cache_.length(0), 0);
}

TEST_F(PlanTest, CutsTextAnywhere) {
  const Batch b = text(std::vector<kv::SequenceId>(7, 0));
  EXPECT_THAT(cut(b, 3), ElementsAre(std::pair(0, 3), std::pair(3, 6), std::pair(6, 7)));
  EXPECT_THAT(cut(b, 7), ElementsAre(std::pair(0, 7)));
  EXPECT_THAT(cut(Batch{}, 7), ElementsAre());
}

TEST_F(PlanTest, NeverSplitsABlockThatSeesItself) {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    Batch b;
    for (int blocks = 1 + static_cast<int>(random() % 6); blocks > 0; --blocks) {
      if (random() % 2) b.add_text(0, std::vector<std::int32_t>(1 + random() % 9, 7), 0, false);
      if (random() % 2) b.add_embeddings(0, std::vector<Position>(1 + random() % 9), random() % 2);
    }
    const auto n = static_cast<std::int32_t>(1 + random() % 8);
    std::int64_t at = 0;
    const auto allowed = [&](std::int64_t c) {
      for (std::int64_t i = 0; i < c; ++i)
        if (b.see_until[i] > c) return false;
      return true;
    };
    for (const auto& [begin, end] : cut(b, n)) {
      ASSERT_EQ(begin, at);
      ASSERT_LT(begin, end);
      ASSERT_TRUE(allowed(end));
      // As long as the limit lets it be, and over it only when there is no other place to cut.
      const bool too_long = end - begin > n, more_fits = !too_long && end < b.rows();
      for (std::int64_t c = begin + 1; too_long && c < end; ++c) ASSERT_FALSE(allowed(c)) << c;
      for (std::int64_t c = end + 1; more_fits && c <= begin + n; ++c) ASSERT_FALSE(allowed(c)) << c;
      at = end;
    }
    ASSERT_EQ(at, b.rows());
  }
}

class Routing : public testing::Test {
 protected:
  Routing() { spec_.n_experts_used = 3; }
  const Routed& run(std::vector<float> scores, std::int64_t rows, Vector bias = {}) {
    route(Tensor(scores.data(), rows, std::ssize(scores) / rows), spec_, bias, routed_);
    return routed_;
  }
  static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
  DecoderSpec spec_;
  Routed routed_;
};

TEST_F(Routing, TakesTheBestAndRenormalises) {
  spec_.expert_scale = 2.0f;
  run({1, 3, 2, 3, 0, 0, 0, 0}, 2);
  EXPECT_THAT(routed_.experts, ElementsAre(1, 3, 2, 0, 1, 2));  // the lower index among equals
  // The definition: softmax over all, then the chosen ones divided by their sum.
  const double sum = 2 * std::exp(3.0) + std::exp(2.0);
  EXPECT_NEAR(routed_.weights[0], 2 * std::exp(3.0) / sum, 1e-6);
  EXPECT_NEAR(routed_.weights[2], 2 * std::exp(2.0) / sum, 1e-6);
  EXPECT_NEAR(routed_.weights[3], 2.0 / 3, 1e-6);
}

TEST_F(Routing, GatesAsTheModelDoes) {
  spec_.n_experts_used = 2;
  spec_.normalised_experts = false;
  const double all = std::exp(1.0) + std::exp(3.0) + std::exp(2.0);
  run({1, 3, 2}, 1);
  EXPECT_NEAR(routed_.weights[1], std::exp(2.0) / all, 1e-6);
  spec_.gating = Gating::sigmoid;
  run({1, 3, 2}, 1);
  EXPECT_NEAR(routed_.weights[0], sigmoid(3), 1e-6);
  spec_.normalised_experts = true;
  run({1, 3, 2}, 1);
  EXPECT_NEAR(routed_.weights[0], sigmoid(3) / (sigmoid(3) + sigmoid(2)), 1e-6);
  spec_.gating = Gating::chosen_softmax;
  run({1, 3, 2}, 1);
  EXPECT_NEAR(routed_.weights[0], std::exp(3.0) / (std::exp(3.0) + std::exp(2.0)), 1e-6);
}

TEST_F(Routing, ABiasChoosesButDoesNotWeigh) {
  spec_.n_experts_used = 1;
  spec_.normalised_experts = false;
  spec_.gating = Gating::sigmoid;
  run({1, 3, 2}, 1, std::vector<float>{0.5f, 0.0f, 0.1f});
  EXPECT_THAT(routed_.experts, ElementsAre(0));  // 0.73 + 0.5 against 0.95 and 0.98
  EXPECT_NEAR(routed_.weights[0], sigmoid(1), 1e-6);
}

TEST_F(Routing, OnlyTheBestGroupsMayBeUsed) {
  spec_.n_experts_used = 2;
  spec_.n_expert_groups = 3;
  spec_.n_expert_groups_used = 1;
  spec_.gating = Gating::sigmoid;
  run({5, -5, -5, 2, 2, -5, 1, 1, 1}, 1);
  EXPECT_THAT(routed_.experts, ElementsAre(3, 4));  // 0.88 + 0.88; the best expert's group has 0.99 + 0.01
  spec_.n_expert_groups_used = 2;
  run({5, -5, -5, 2, 2, -5, 1, 1, 1}, 1);
  EXPECT_THAT(routed_.experts, ElementsAre(3, 4));  // and 0.73 + 0.73
  spec_.n_expert_groups_used = 3;
  run({5, -5, -5, 2, 2, -5, 1, 1, 1}, 1);
  EXPECT_THAT(routed_.experts, ElementsAre(0, 3));
  spec_.n_expert_groups_used = 1;
  run(std::vector<float>(9, 1.0f), 1);
  EXPECT_THAT(routed_.experts, ElementsAre(0, 1));
}

TEST_F(Routing, SurvivesNumbersThatAreNone) {
  for (const Gating gating : {Gating::softmax, Gating::sigmoid, Gating::chosen_softmax}) {
    for (const std::int32_t n_groups : {0, 3}) {
      spec_.gating = gating;
      spec_.n_expert_groups = n_groups, spec_.n_expert_groups_used = n_groups;
      run({NAN, NAN, NAN, INFINITY, -INFINITY, NAN}, 2);
      for (std::int64_t t = 0; t < 2; ++t) {
        std::vector<std::int32_t> row(routed_.experts.begin() + 3 * t, routed_.experts.begin() + 3 * t + 3);
        std::sort(row.begin(), row.end());
        EXPECT_THAT(row, ElementsAre(0, 1, 2));
      }
    }
  }
}

}  // namespace
}  // namespace mtmd::decoder
