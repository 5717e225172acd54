#include "mtmd/quality/logits_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "engine/base/error.h"
#include "mtmd/quality/corpus.h"
#include "mtmd/quality/perplexity.h"

namespace mtmd::quality {
namespace {

namespace fs = std::filesystem;

class Logits : public ::testing::Test {
 protected:
  Logits()
      : path_(fs::path(::testing::TempDir()) / ("logits" + std::to_string(::getpid()))),
        model_(gguf::File::open(MTMD_TEST_DATA "/text/llama.gguf")),
        tokenizer_(Tokenizer::load(model_.metadata())),
        device_(make_device("cpu")) {}
  ~Logits() override { fs::remove(path_); }

  Windows windows() const { return {corpus(), *tokenizer_, {.n_ctx = 32, .max = 3}, 2}; }
  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
  ErrorCategory failure() const {
    try {
      LogitsFile file(path_);
      for (int w = 0; w < 3; ++w)
        for (int r = 0; r < 15; ++r) file.row(w, r);
    } catch (const Error& e) {
      return e.category();
    }
    return ErrorCategory::internal;
  }

  fs::path path_;
  gguf::File model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Device> device_;
};

std::int32_t vocabulary(const gguf::File& f) {
  return static_cast<std::int32_t>(f.find("token_embd.weight")->shape[0]);
}

TEST_F(Logits, LayoutIsTheKnownOne) {
  const std::int32_t n_vocab = vocabulary(model_);
  LogitsWriter writer(path_, windows(), n_vocab);
  measure_perplexity(model_, *device_, windows(), {.n_ctx = 32}, &writer, {});
  EXPECT_FALSE(fs::exists(path_));  // not before commit
  writer.commit();
  const std::string b = bytes();
  EXPECT_EQ(b.substr(0, 8), "_logits_");
  std::int32_t head[3];
  std::memcpy(head, b.data() + 8, sizeof head);
  EXPECT_EQ(head[0], 32);
  EXPECT_EQ(head[1], n_vocab);
  EXPECT_EQ(head[2], 3);
  const std::size_t row = 2 * (2 * ((static_cast<std::size_t>(n_vocab) + 1) / 2) + 4);
  EXPECT_EQ(b.size(), 20 + 3 * 32 * 4 + 3 * 15 * row);
  const LogitsFile file(path_);
  EXPECT_TRUE(std::ranges::equal(file.tokens(), windows().tokens()));
  // The probabilities of a row sum to one but for the rounding: codes are 16/65535 apart at most.
  double sum = 0;
  const RoundedRow r = file.row(2, 14);
  for (const std::uint16_t c : r.codes) sum += std::exp(double{r.scale} * c + double{r.lowest});
  EXPECT_NEAR(sum, 1, 3e-4);
}

/// A recording of the model itself is as far from it as its rounding.
TEST_F(Logits, ComparedWithItsOwnRecording) {
  const std::int32_t n_vocab = vocabulary(model_);
  LogitsWriter writer(path_, windows(), n_vocab);
  const Likelihood l = measure_perplexity(model_, *device_, windows(), {.n_ctx = 32}, &writer, {});
  writer.commit();
  const LogitsFile file(path_);
  const Windows again(file.tokens(), file.n_ctx(), *tokenizer_);
  EXPECT_EQ(again.size(), 3);
  const DivergenceReport r = measure_divergence(model_, *device_, again, {.n_ctx = 32}, file, {}).report();
  EXPECT_EQ(r.count, 45);
  EXPECT_NEAR(r.kld.value, 0, 1e-4);
  EXPECT_EQ(r.same_top.value, 1);
  EXPECT_NEAR(r.ppl.value / l.perplexity().value, 1, 1e-9);
  // Tokens that a random model finds impossible have the lowest code there: exp(-16) of the favourite.
  EXPECT_NEAR(r.ppl_base.value / r.ppl.value, 1, 0.1);
}

TEST_F(Logits, OfAnotherVocabularyIsRefused) {
  LogitsWriter writer(path_, windows(), 402);
  std::vector<float> row(402 * 45);
  ThreadPool pool(1);
  writer.add(Tensor(row.data(), 45, 402), pool);
  writer.commit();
  const LogitsFile file(path_);
  EXPECT_THROW(measure_divergence(model_, *device_, windows(), {.n_ctx = 32}, file, {}), Error);
}

TEST_F(Logits, DamagedFilesAreRefused) {
  LogitsWriter writer(path_, windows(), 402);
  std::vector<float> row(402 * 45);
  ThreadPool pool(1);
  writer.add(Tensor(row.data(), 45, 402), pool);
  writer.commit();
  const std::string good = bytes();
  ASSERT_EQ(failure(), ErrorCategory::internal);
  const auto with = [&](std::size_t at, std::int32_t v) {
    std::string b = good;
    std::memcpy(b.data() + at, &v, 4);
    put(b);
    return failure();
  };
  for (const std::size_t n : {std::size_t{0}, std::size_t{7}, std::size_t{19}, std::size_t{100}, good.size() - 1}) {
    put(good.substr(0, n));
    EXPECT_EQ(failure(), ErrorCategory::input) << n;
  }
  for (const std::size_t field : {8, 12, 16})
    for (const std::int32_t v : {0, -1, INT32_MAX, INT32_MIN}) EXPECT_EQ(with(field, v), ErrorCategory::input) << field;
  EXPECT_EQ(with(20, 402), ErrorCategory::input);  // a token
  EXPECT_EQ(with(20, -1), ErrorCategory::input);
  EXPECT_EQ(with(20 + 3 * 32 * 4, 0x7f800000), ErrorCategory::input);  // a scale that is infinite
  EXPECT_EQ(with(0, 0), ErrorCategory::input);
}

}  // namespace
}  // namespace mtmd::quality
