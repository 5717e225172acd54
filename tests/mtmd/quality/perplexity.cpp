// Perplexity and KL divergence against figures computed with libllama's logits in float64.
#include "mtmd/quality/perplexity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "engine/base/error.h"
#include "mtmd/model.h"
#include "mtmd/quality/corpus.h"

namespace mtmd::quality {
namespace {

namespace fs = std::filesystem;

fs::path kit(const std::string& name) { return fs::path(MTMD_CONFORMANCE) / "text" / (name + ".gguf"); }
std::string data(const std::string& name) { return MTMD_TEST_DATA "/text/" + name + ".gguf"; }

struct Measured {
  Likelihood likelihood;
  Windows windows;
};

Measured measure(const fs::path& path, ReaderOptions reader) {
  const auto model = Model::load({.model = path, .look_for_mmproj = false});
  Measured m;
  m.windows = Windows(corpus(), model->tokenizer(), {.n_ctx = 64, .max = 6}, 2);
  reader.n_ctx = 64;
  m.likelihood = measure_perplexity(model->file(), model->device(), m.windows, reader, nullptr, {});
  return m;
}

/// 6 windows of 64 tokens of corpus(): llama_decode's logits (f32 cache, no flash attention) through ctypes, softmax
/// in float64 by numpy, mean and standard error after llama-perplexity's definition.
struct Recorded {
  const char* model;
  double ppl, error, tolerance;
};
const Recorded kRecorded[] = {
    {"llama", 24699.572026, 5362.012522, 1e-5},
    {"qwen2", 16459.143530, 3691.786500, 1e-5},
    {"gemma3", 22038.506804, 4703.501848, 2e-3},  // its GELU goes through an f16 table there
};

TEST(Perplexity, IsTheRecordedOne) {
  std::string missing;
  for (const Recorded& want : kRecorded) {
    const fs::path path = fs::exists(data(want.model)) ? fs::path(data(want.model)) : kit(want.model);
    if (!fs::exists(path)) {
      missing += std::string(want.model) + " ";
      continue;
    }
    const Measured m = measure(path, {.kv_type = DType::F32});
    const Estimate ppl = m.likelihood.perplexity();
    EXPECT_EQ(m.likelihood.count(), 6 * 31) << want.model;
    EXPECT_NEAR(ppl.value / want.ppl, 1, want.tolerance) << want.model;
    EXPECT_NEAR(ppl.error / want.error, 1, want.tolerance) << want.model;
  }
  if (!missing.empty()) GTEST_SKIP() << "not here: " << missing << "(the others were compared)";
}

TEST(Perplexity, BatchesAndTheCachesTypeMatterLittle) {
  const double whole = measure(data("llama"), {.kv_type = DType::F32}).likelihood.perplexity().value;
  const double pieces =
      measure(data("llama"), {.n_batch = 5, .n_ubatch = 3, .kv_type = DType::F32}).likelihood.perplexity().value;
  const double f16 = measure(data("llama"), {}).likelihood.perplexity().value;
  EXPECT_NEAR(pieces / whole, 1, 1e-5);
  EXPECT_NEAR(f16 / whole, 1, 2e-2);
}

struct RecordedDivergence {
  const char* model;
  double kld, error, p99, p95, median, max, min, same, ratio, ratio_error, rms, change, tolerance;
};
// Against llama-kq.gguf (f16); its activations are rounded to f16 there, those of the quantised ones to 8 bits. That
// noise is what the tolerances are for: the kit's README measures it.
const RecordedDivergence kDivergences[] = {
    {"llama-kq-Q4_K_M", 0.319605, 0.015636, 1.030801, 0.752827, 0.277763, 1.341083, 0.016194, 0.586022, 1.039356,
     0.081734, 0.00638824, -0.00084633, 0.02},
    {"llama-kq-IQ3_S", 1.126464, 0.044855, 3.175007, 2.285691, 0.988458, 3.443854, 0.019044, 0.311828, 1.126820,
     0.147285, 0.01949555, 0.00068094, 0.02},
    {"llama-kq-Q4_0", 0.444417, 0.017510, 1.253569, 0.894122, 0.401040, 1.336609, 0.072989, 0.586022, 1.057275,
     0.086676, 0.00873780, -0.00033254, 0.02},
};

TEST(Divergence, IsTheRecordedOne) {
  if (!fs::exists(kit("llama-kq"))) GTEST_SKIP() << kit("llama-kq") << " is not here";
  const auto base = gguf::File::open(kit("llama-kq"));
  for (const RecordedDivergence& want : kDivergences) {
    const auto model = Model::load({.model = kit(want.model), .look_for_mmproj = false});
    const Windows windows(corpus(), model->tokenizer(), {.n_ctx = 64, .max = 6}, 2);
    const ReaderOptions reader{.n_ctx = 64, .kv_type = DType::F32};
    const DivergenceReport r = measure_divergence(model->file(), model->device(), windows, reader, base, {}).report();
    const auto near = [&](double found, double expected, double times = 1) {
      EXPECT_NEAR(found, expected, want.tolerance * times * std::abs(expected)) << want.model;
    };
    EXPECT_EQ(r.count, 186);
    near(r.kld.value, want.kld);
    near(r.kld.error, want.error, 2);
    near(r.kld_99, want.p99, 2);
    near(r.kld_95, want.p95, 3);
    near(r.kld_median, want.median, 2);
    near(r.kld_max, want.max, 3);
    near(r.kld_min, want.min, 5);
    EXPECT_NEAR(r.same_top.value, want.same, 3.5 / 186) << want.model;
    near(r.ppl_ratio.value, want.ratio);
    near(r.ppl_ratio.error, want.ratio_error, 2);
    near(r.p_rms.value, want.rms, 5);
    EXPECT_NEAR(r.p_change.value, want.change, 0.1 * want.rms) << want.model;
    EXPECT_NEAR(r.ppl_base.value / 39360.355744, 1, 1e-2);
  }
}

/// A model is no distance from itself.
TEST(Divergence, IsZeroAgainstItself) {
  const auto model = Model::load({.model = data("mixtral"), .look_for_mmproj = false});
  const Windows windows(corpus(), model->tokenizer(), {.n_ctx = 32, .max = 3}, 2);
  const DivergenceReport r =
      measure_divergence(model->file(), model->device(), windows, {.n_ctx = 32}, model->file(), {}).report();
  EXPECT_EQ(r.count, 3 * 15);
  EXPECT_EQ(r.kld.value, 0);
  EXPECT_EQ(r.same_top.value, 1);
  EXPECT_EQ(r.ppl_ratio.value, 1);
  EXPECT_NEAR(r.ppl_ratio.error, 0, 1e-7);
  EXPECT_EQ(r.p_rms.value, 0);
}

TEST(Divergence, NeedsOneVocabulary) {
  const auto a = gguf::File::open(data("mixtral")), b = gguf::File::open(data("llama"));
  EXPECT_NO_THROW(require_same_vocabulary(a, a));
  try {
    require_same_vocabulary(a, b);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
  }
}

/// The numbers of one row, by the textbook.
TEST(Divergence, OfARowIsTheDefinition) {
  std::mt19937 random(7);
  std::normal_distribution<float> gauss(0, 3);
  std::vector<float> q(1001), p(1001);
  for (float& v : q) v = gauss(random);
  for (std::size_t i = 0; i < p.size(); ++i) p[i] = q[i] + 0.3f * gauss(random);
  const auto log_probabilities = [](const std::vector<float>& logits) {
    long double sum = 0;
    for (const float v : logits) sum += std::exp(static_cast<long double>(v));
    std::vector<long double> l;
    for (const float v : logits) l.push_back(static_cast<long double>(v) - std::log(sum));
    return l;
  };
  const auto lq = log_probabilities(q), lp = log_probabilities(p);
  long double kld = 0;
  for (std::size_t i = 0; i < p.size(); ++i) kld += std::exp(lp[i]) * (lp[i] - lq[i]);
  const TokenDivergence t = divergence(q, std::span<const float>(p), 17);
  EXPECT_NEAR(t.kld, static_cast<double>(kld), 1e-6);
  EXPECT_NEAR(t.nll, static_cast<double>(-lq[17]), 1e-6);
  EXPECT_NEAR(t.nll_base, static_cast<double>(-lp[17]), 1e-6);
  EXPECT_EQ(t.same_top, std::ranges::max_element(q) - q.begin() == std::ranges::max_element(p) - p.begin());
  EXPECT_NEAR(nll_of(q, 3), static_cast<double>(-lq[3]), 1e-6);
}

TEST(Likelihood, MeanAndErrorOfKnownNumbers) {
  Likelihood l;
  for (const double v : {1.0, 2.0, 3.0, 6.0}) l.add(v);
  EXPECT_NEAR(l.perplexity().value, std::exp(3.0), 1e-12);
  // Variance 50/4 - 9 = 3.5, over n - 1 = 3.
  EXPECT_NEAR(l.perplexity().error, std::exp(3.0) * std::sqrt(3.5 / 3), 1e-12);
  EXPECT_EQ(Likelihood().perplexity().value, 0);
}

TEST(Windows, CutAndReplaceTheFirstTokenWhereBosIsAskedFor) {
  const auto model = gguf::File::open(data("llama"));
  const auto tokenizer = Tokenizer::load(model.metadata());
  ASSERT_TRUE(tokenizer->adds_bos());
  const auto all = tokenizer->encode(corpus(), {.add_special = true});
  const Windows w(corpus(), *tokenizer, {.n_ctx = 100, .max = 4, .first = 2});
  EXPECT_EQ(w.size(), 4);
  EXPECT_EQ(w.first_scored(), 50);
  EXPECT_EQ(w.n_scored(), 49);
  for (int i = 0; i < 4; ++i) {
    std::vector<Token> want(all.begin() + (i + 2) * 100, all.begin() + (i + 3) * 100);
    EXPECT_TRUE(std::ranges::equal(w.original(i), want));
    want[0] = tokenizer->bos();
    EXPECT_EQ(w.input(i), want);
  }
  const auto category = [&](WindowOptions o, int least) {
    try {
      Windows(corpus(), *tokenizer, o, least);
    } catch (const Error& e) {
      return e.category();
    }
    return ErrorCategory::internal;
  };
  EXPECT_EQ(category({.n_ctx = 1}, 1), ErrorCategory::usage);
  EXPECT_EQ(category({.n_ctx = 1000}, 2), ErrorCategory::input);
  EXPECT_EQ(category({.n_ctx = 1000, .first = 1}, 1), ErrorCategory::usage);
}

}  // namespace
}  // namespace mtmd::quality
