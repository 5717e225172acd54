#include "mtmd/quality/type_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/base/error.h"
#include "engine/gguf/writer.h"
#include "mtmd/quality/corpus.h"
#include "mtmd/quality/perplexity.h"
#include "mtmd/quality/plot.h"

namespace mtmd::quality {
namespace {

using ::testing::HasSubstr;

std::vector<float> noise(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> gauss;
  std::vector<float> v(n);
  for (float& x : v) x = gauss(random);
  return v;
}

class Sweep : public ::testing::Test {
 protected:
  static constexpr std::int64_t kRows = 48, kCols = 256;

  explicit Sweep(std::vector<std::int64_t> shape = {kRows, kCols}) : values_(noise(kRows * kCols, 1)) {
    gguf::Writer w;
    w.add_tensor("w", DType::F32, std::move(shape), std::as_bytes(std::span(values_)));
    bytes_ = w.to_memory();
    file_.emplace(gguf::File::from_memory(bytes_, "m"));
  }
  OpenTensor open(std::span<const float> importance = {}) const { return {&file_->tensors()[0], importance}; }

  std::vector<float> values_;
  std::vector<std::byte> bytes_;
  std::optional<gguf::File> file_;
  ThreadPool pool_{2};
};

/// The error as written down: every row encoded, decoded, compared.
double error_of(const std::vector<float>& values, std::int64_t cols, DType type, const float* importance) {
  const auto n = static_cast<std::size_t>(cols);
  std::vector<std::byte> blocks(row_bytes(type, cols));
  std::vector<float> back(n);
  double error = 0, signal = 0;
  for (std::size_t r = 0; r < values.size(); r += n) {
    quant::find(type)->encode(values.data() + r, blocks.data(), cols, importance, quant::Effort::standard);
    quant::find(type)->decode(blocks.data(), back.data(), cols);
    for (std::size_t i = 0; i < n; ++i) {
      const double w = importance ? double{importance[i]} : 1, v = values[r + i];
      error += w * std::pow(v - double{back[i]}, 2);
      signal += w * v * v;
    }
  }
  return error / signal;
}

TEST_F(Sweep, ErrorsAreThoseOfTheWholeTensor) {
  std::vector<float> importance(kCols, 1.0f);
  for (std::size_t i = 0; i < importance.size(); i += 7) importance[i] = 50.0f;
  const DType types[] = {DType::Q8_0, DType::Q4_K, DType::Q2_K, DType::Q6_K};
  for (const bool weighted : {false, true}) {
    const auto found =
        sweep(open(weighted ? std::span<const float>(importance) : std::span<const float>()), types, 1 << 20, pool_);
    ASSERT_EQ(found.size(), 4u);
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i].error / error_of(values_, kCols, found[i].type, weighted ? importance.data() : nullptr), 1,
                  1e-9);
      EXPECT_EQ(found[i].bytes, row_bytes(found[i].type, kRows * kCols));
      if (i == 0) continue;
      EXPECT_GT(found[i].bytes, found[i - 1].bytes);
      EXPECT_LT(found[i].error, found[i - 1].error);
    }
    EXPECT_EQ(found[0].type, DType::Q2_K);
  }
}

TEST_F(Sweep, ASampleIsNear) {
  const DType types[] = {DType::Q4_K};
  const double all = sweep(open(), types, 1 << 20, pool_)[0].error;
  const double some = sweep(open(), types, 16 * kCols, pool_)[0].error;
  EXPECT_NE(some, all);
  EXPECT_NEAR(some / all, 1, 0.1);
}

TEST_F(Sweep, TypesThatDoNotFitOrDoNotPayAreLeftOut) {
  EXPECT_FALSE(fits(DType::IQ2_XXS, open()));  // needs importance
  const std::vector<float> alike(kCols, 1.0f);
  EXPECT_EQ(fits(DType::IQ2_XXS, open(alike)), quant::find(DType::IQ2_XXS)->encode != nullptr);
  const DType types[] = {DType::IQ2_XXS, DType::Q5_1, DType::Q6_K, DType::Q4_0, DType::Q8_0};
  const auto found = sweep(open(), types, 1 << 20, pool_);
  for (std::size_t i = 1; i < found.size(); ++i) EXPECT_LT(found[i].error, found[i - 1].error);
  EXPECT_EQ(found.front().type, DType::Q4_0);
  EXPECT_EQ(found.back().type, DType::Q8_0);
  const std::vector<float> odd = noise(2 * 96, 5);
  gguf::Writer w;
  w.add_tensor("odd", DType::F32, {2, 96}, std::as_bytes(std::span(odd)));
  const auto bytes = w.to_memory();
  const auto file = gguf::File::from_memory(bytes, "m");
  EXPECT_FALSE(fits(DType::Q4_K, {&file.tensors()[0], {}}));
  EXPECT_TRUE(fits(DType::Q4_0, {&file.tensors()[0], {}}));
}

TEST_F(Sweep, NaNsAreNamed) {
  values_[5 * kCols + 3] = NAN;
  gguf::Writer w;
  w.add_tensor("w", DType::F32, {kRows, kCols}, std::as_bytes(std::span(values_)));
  const auto bytes = w.to_memory();
  const auto file = gguf::File::from_memory(bytes, "m");
  const DType types[] = {DType::Q4_K};
  try {
    sweep({&file.tensors()[0], {}}, types, 1 << 20, pool_);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::model);
    EXPECT_THAT(e.what(), HasSubstr("w: row 5"));
  }
}

class Experts : public Sweep {
 protected:
  Experts() : Sweep({3, 16, kCols}) {}
};

TEST_F(Experts, HaveImportanceOfTheirOwn) {
  std::vector<float> importance(3 * kCols, 1.0f);
  std::fill_n(importance.begin() + kCols, kCols, 2.0f);
  const OpenTensor t = open(importance);
  EXPECT_EQ(t.importance_of(0), importance.data());
  EXPECT_EQ(t.importance_of(15), importance.data());
  EXPECT_EQ(t.importance_of(16), importance.data() + kCols);
  EXPECT_EQ(t.importance_of(47), importance.data() + 2 * kCols);
}

class Search : public ::testing::Test {
 protected:
  Search() : model_(gguf::File::open(MTMD_TEST_DATA "/text/mixtral.gguf")), device_(make_device("cpu")) {
    for (const gguf::TensorInfo& t : model_.tensors())
      if (t.shape.size() > 1 && t.name.starts_with("blk.") && t.name.find("gate_inp") == t.name.npos)
        open_.push_back({&t, {}});
  }
  Evaluator evaluator() {
    const auto tokenizer = Tokenizer::load(model_.metadata());
    return {
        model_, *device_, {corpus(), *tokenizer, {.n_ctx = 64, .max = 4}}, {}, {.n_ctx = 64, .kv_type = DType::F32}};
  }

  gguf::File model_;
  std::unique_ptr<Device> device_;
  std::vector<OpenTensor> open_;
  ThreadPool pool_{2};
};

/// The same weights in another type: no distance. Rounded weights: what a file with these weights has.
TEST_F(Search, SubstitutesActAsAFileWithTheseWeights) {
  Evaluator e = evaluator();
  EXPECT_EQ(e.measure().kld.value, 0);
  for (const OpenTensor& t : open_)
    e.device().set(*t.tensor, {DType::F32, {t.tensor->data.begin(), t.tensor->data.end()}});
  EXPECT_EQ(e.measure().kld.value, 0);

  TypeSearch::Types types;
  for (const OpenTensor& t : open_) types.emplace(t.tensor->name, DType::Q5_0);
  gguf::Writer w;
  for (const auto& entry : model_.metadata().entries()) w.set(std::string(entry.key), entry.value);
  for (const gguf::TensorInfo& t : model_.tensors()) {
    const bool is_open = types.contains(t.name);
    std::vector<std::byte> bytes(t.data.begin(), t.data.end());
    if (is_open) bytes = encode({&t, {}}, DType::Q5_0, pool_);
    w.add_tensor(std::string(t.name), is_open ? DType::Q5_0 : t.type, t.shape,
                 [bytes](const auto& sink) { sink(bytes); });
  }
  const auto bytes = w.to_memory();
  const auto file = gguf::File::from_memory(bytes, "quantised");
  const auto tokenizer = Tokenizer::load(model_.metadata());
  const Windows windows(corpus(), *tokenizer, {.n_ctx = 64, .max = 4});
  const DivergenceReport want =
      measure_divergence(file, *device_, windows, {.n_ctx = 64, .kv_type = DType::F32}, model_, {}).report();
  const DivergenceReport got = evaluate(e, open_, types, pool_);
  EXPECT_GT(want.kld.value, 1e-3);
  EXPECT_DOUBLE_EQ(got.kld.value, want.kld.value);
  EXPECT_EQ(e.measure().kld.value, 0);  // the substitutes are gone
}

TEST_F(Search, AWeighedChoiceBeatsOneTypeForAllAtTheSameSize) {
  Evaluator e = evaluator();
  const DType types[] = {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q8_0};
  TypeSearch search(open_, types, 1 << 20, pool_, {});
  search.weigh(e, 5.5, pool_, {});
  TypeSearch::Types flat;
  for (const OpenTensor& t : open_) flat.emplace(t.tensor->name, DType::Q5_0);
  const TypeSearch::Types chosen = search.choose(search.bytes(flat));
  EXPECT_LE(search.bytes(chosen), search.bytes(flat));
  EXPECT_LE(search.predicted(chosen), search.predicted(flat));
  EXPECT_LT(evaluate(e, open_, chosen, pool_).kld.value, evaluate(e, open_, flat, pool_).kld.value);
}

TEST_F(Search, TooSmallATargetSaysWhatWouldDo) {
  const DType types[] = {DType::Q4_0, DType::Q8_0};
  const TypeSearch search(open_, types, 1 << 20, pool_, {});
  try {
    search.choose(search.least_bytes() - 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
    EXPECT_THAT(e.what(), HasSubstr(std::to_string(search.least_bytes())));
  }
  EXPECT_EQ(search.bytes(search.choose(search.least_bytes())), search.least_bytes());
  const DType none[] = {DType::Q4_K};
  EXPECT_THROW(TypeSearch(open_, none, 1 << 20, pool_, {}), Error);  // rows of 64
}

TEST_F(Search, CanBeInterrupted) {
  const DType types[] = {DType::Q4_0};
  try {
    TypeSearch(open_, types, 1 << 20, pool_, [](std::size_t done, std::size_t, std::string_view) { return done < 2; });
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::interrupted);
  }
}

TEST(Plot, IsOneWellFormedDocument) {
  Chart chart{"a < b & \"c\"",
              "sub",
              "size",
              "KL",
              {{"one", "#c33", false, {{1, 0.5, "Q2_K"}, {2, 0.01, "Q4_K"}}},
               {"two",
                "#36c",
                true,
                {{1, 0.4, ""}, {2, 0, ""}, {3, 0.001, ""}, {4, std::numeric_limits<double>::infinity(), ""}}}}};
  const std::string doc = svg(chart);
  EXPECT_THAT(doc, HasSubstr("a &lt; b &amp; &quot;c&quot;"));
  EXPECT_THAT(doc, HasSubstr(">Q4_K<"));
  EXPECT_TRUE(doc.starts_with("<svg "));
  EXPECT_TRUE(doc.ends_with("</svg>\n"));
  EXPECT_EQ(doc.find("nan"), doc.npos);
  EXPECT_EQ(doc.find("inf"), doc.npos);
  chart.series.clear();  // nothing to show is no reason to fail
  EXPECT_EQ(svg(chart).find("nan"), std::string::npos);
}

}  // namespace
}  // namespace mtmd::quality
