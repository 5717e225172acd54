// What a batch is made of must not matter: several sequences at once, shared prefixes, rows without logits, images that
// see themselves. The oracle is the same model fed in the plainest way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/base/error.h"
#include "engine/decoder/decoder.h"
#include "engine/decoder/tiny_model.h"

namespace mtmd::decoder {
namespace {

using Rows = std::vector<std::vector<float>>;

Rows copy(Tensor t) {
  Rows rows;
  for (std::int64_t i = 0; i < t.rows; ++i) rows.emplace_back(t.row(i), t.row(i) + t.cols);
  return rows;
}

float distance(const std::vector<float>& a, const std::vector<float>& b) {
  float worst = a.size() == b.size() ? 0.0f : INFINITY;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

/// What other orders of summation explain, of logits of size 3; a mistake costs a hundred times as much.
constexpr float kRounding = 1e-3f;

void expect_near(const std::vector<float>& want, const std::vector<float>& got, const std::string& what) {
  EXPECT_LE(distance(want, got), kRounding) << what;
}

class Batches : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  void SetUp() override {
    device_ = make_device(std::get<1>(GetParam()), {.threads = 2});
    file_ = &test::small_model(std::get<0>(GetParam()));
    model_ = std::make_unique<Decoder>(*file_, *device_, Options{});
  }
  kv::Cache cache() { return kv::Cache(*device_, model_->kv_layers(), {DType::F32, 512, 8}); }
  std::vector<std::int32_t> tokens(int n, unsigned seed) const {
    std::vector<std::int32_t> ids;
    for (int i = 0; i < n; ++i)
      ids.push_back(static_cast<std::int32_t>((seed * 7919u + i * 104729u) % model_->spec().n_vocab));
    return ids;
  }
  /// Logits of every token of one sequence, run alone in one batch.
  Rows alone(const std::vector<std::int32_t>& ids) {
    kv::Cache c = cache();
    Batch b;
    b.add_text(0, ids, 0, true);
    b.want_logits.assign(ids.size(), true);
    return copy(model_->forward(b, c));
  }

  std::unique_ptr<Device> device_;
  const gguf::File* file_ = nullptr;
  std::unique_ptr<Decoder> model_;
};

TEST_P(Batches, SequencesOfOneBatchDoNotMeet) {
  const auto a = tokens(40, 1), b = tokens(33, 2);
  const Rows want_a = alone(a), want_b = alone(b);
  kv::Cache c = cache();
  // Continuous batching: both advance by uneven steps, rows interleaved.
  std::size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    Batch batch;
    std::vector<const std::vector<float>*> want;
    const auto feed = [&](kv::SequenceId s, const std::vector<std::int32_t>& ids, std::size_t& at, std::size_t n,
                          const Rows& rows) {
      for (; n > 0 && at < ids.size(); --n, ++at) {
        batch.add_text(s, std::span(&ids[at], 1), static_cast<std::int32_t>(at), true);
        want.push_back(&rows[at]);
      }
    };
    feed(4, a, i, 5, want_a);
    feed(9, b, j, 3, want_b);
    feed(4, a, i, 1, want_a);
    const Tensor got = model_->forward(batch, c);
    ASSERT_EQ(got.rows, std::ssize(want));
    for (std::int64_t r = 0; r < got.rows; ++r)
      expect_near(*want[r], {got.row(r), got.row(r) + got.cols}, "row " + std::to_string(r));
  }
}

TEST_P(Batches, ForksContinueOnTheirOwn) {
  const auto prefix = tokens(21, 3), a = tokens(6, 4), b = tokens(5, 5);
  const auto joined = [&](const std::vector<std::int32_t>& tail) {
    auto all = prefix;
    all.insert(all.end(), tail.begin(), tail.end());
    return all;
  };
  kv::Cache c = cache();
  Batch batch;
  batch.add_text(0, prefix, 0, false);
  EXPECT_EQ(model_->forward(batch, c).rows, 0);
  c.fork(0, 1);
  batch.clear();
  batch.add_text(0, a, 21, true);
  batch.add_text(1, b, 21, true);
  const Rows got = copy(model_->forward(batch, c));
  ASSERT_EQ(got.size(), 2u);
  expect_near(alone(joined(a)).back(), got[0], "first");
  expect_near(alone(joined(b)).back(), got[1], "fork");
  // Back to the shared prefix, and on with the other tail.
  c.truncate(0, 21);
  batch.clear();
  batch.add_text(0, b, 21, true);
  expect_near(alone(joined(b)).back(), copy(model_->forward(batch, c)).back(), "after truncation");
}

TEST_P(Batches, LogitsComeOnlyForRowsThatWantThem) {
  const auto ids = tokens(30, 6);
  const Rows want = alone(ids);
  for (std::int32_t n_ubatch : {1, 4, 512}) {
    Decoder model(*file_, *device_, {0, n_ubatch});
    kv::Cache c = cache();
    Batch b;
    b.add_text(0, ids, 0, false);
    for (std::size_t i : {2u, 3u, 11u, 29u}) b.want_logits[i] = true;
    const Rows got = copy(model.forward(b, c));
    ASSERT_EQ(got.size(), 4u);
    expect_near(want[2], got[0], "2");
    expect_near(want[3], got[1], "3");
    expect_near(want[11], got[2], "11");
    expect_near(want[29], got[3], "29");
  }
}

TEST_P(Batches, AnImageThatSeesItselfIsNotCausal) {
  const auto& spec = model_->spec();
  std::vector<float> rows(9 * static_cast<std::size_t>(spec.n_embd));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = std::sin(static_cast<float>(i * i % 1009));
  const auto text = tokens(4, 7);
  const auto run = [&](bool sees_itself, float last, std::int32_t n_ubatch) {
    rows.back() = last;
    Batch b;
    b.add_text(0, text, 0, true);
    std::vector<Position> at;
    for (std::int32_t i = 0; i < 9; ++i) at.push_back({4 + i, 4 + i, 4 + i, 0});
    b.add_embeddings(0, at, sees_itself);
    b.add_text(0, text, 13, true);
    b.want_logits.assign(b.tokens.size(), true);
    b.embeddings = Tensor(rows.data(), 9, spec.n_embd);
    Decoder model(*file_, *device_, {0, n_ubatch});
    kv::Cache c = cache();
    return copy(model.forward(b, c));
  };
  const Rows causal = run(false, 1, 512), causal_changed = run(false, 50, 512);
  const Rows whole = run(true, 1, 512), changed = run(true, 50, 512), cut = run(true, 1, 3);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    expect_near(whole[i], cut[i], "micro-batches, row " + std::to_string(i));
    const bool before_image = i < 4, in_image = i >= 4 && i < 12;
    EXPECT_EQ(distance(whole[i], changed[i]) <= kRounding, before_image) << i;  // every image token sees the last one
    EXPECT_EQ(distance(causal[i], causal_changed[i]) <= kRounding, before_image || in_image) << i;  // only those behind
  }
}

TEST_P(Batches, AFullContextLeavesEverythingAsItWas) {
  kv::Cache c(*device_, model_->kv_layers(), {DType::F32, 32, 8});
  Batch b;
  b.add_text(0, tokens(20, 8), 0, true);
  model_->forward(b, c);
  EXPECT_THROW(model_->forward(b, c), Error);
  EXPECT_EQ(c.length(0), 20);
  b.clear();
  b.add_text(0, tokens(3, 9), 20, true);
  EXPECT_EQ(model_->forward(b, c).rows, 1);
}

TEST_P(Batches, TokensOutsideTheVocabularyAreRefused) {
  kv::Cache c = cache();
  for (std::int32_t id : {model_->spec().n_vocab, -2, INT32_MAX}) {
    Batch b;
    b.add_text(0, std::vector<std::int32_t>{1, id}, 0, true);
    try {
      model_->forward(b, c);
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::input);
    }
    EXPECT_EQ(c.length(0), 0);
  }
}

TEST_P(Batches, ScratchIsKnownBeforehand) {
  Decoder model(*file_, *device_, {0, 64});
  kv::Cache c = cache();
  Batch b;
  b.add_text(0, tokens(64, 10), 0, true);
  const std::size_t promised = model.scratch_bytes();
  model.forward(b, c);
  EXPECT_EQ(model.scratch_bytes(), promised);
  EXPECT_EQ(model.scratch_peak_bytes(), promised);
}

INSTANTIATE_TEST_SUITE_P(Models, Batches,
                         testing::Combine(testing::Values("llama", "mixtral", "gemma3", "qwen2vl", "lfm2", "gemma4",
                                                          "gpt_oss", "deepseek2", "deepseek2_split", "qwen3next"),
                                          testing::Values("reference", "cpu")),
                         [](const auto& c) {
                           return std::string(std::get<0>(c.param)) + "_on_" + std::get<1>(c.param);
                         });

}  // namespace
}  // namespace mtmd::decoder
