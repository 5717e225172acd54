// Models that are made up: they load, compute finite numbers and have the types that `mtmd quantize` chooses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "bench/random_rows.h"
#include "bench/shapes.h"
#include "bench/tensor_list.h"
#include "bench/text_bench.h"
#include "engine/base/error.h"
#include "engine/quant/quant.h"

namespace mtmd::bench {
namespace {

TEST(BenchShapes, RandomRowsDecodeToTheirScale) {
  for (const DType type : {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_K, DType::Q6_K, DType::IQ4_XS}) {
    const auto bytes = random_rows(type, 512, 7);
    std::vector<float> values(512 * 7);
    ASSERT_EQ(bytes.size(), row_bytes(type, 512) * 7);
    quant::find(type)->decode(bytes.data(), values.data(), std::ssize(values));
    double sum = 0;
    for (const float v : values) sum += double{v} * v;
    EXPECT_NEAR(std::sqrt(sum / static_cast<double>(values.size())), 0.05, 0.005) << name(type);
  }
  EXPECT_THROW(random_rows(DType::Q4_K, 100, 1), Error);
}

TEST(BenchShapes, AnUnknownNameListsTheKnownOnes) {
  try {
    random_model("gpt-5", "Q8_0");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("llama-3.2-1b"));
  }
  EXPECT_THROW(random_model("qwen2.5-0.5b", "Q99"), Error);
}

TEST(BenchShapes, ASmallTextModelRuns) {
  const RandomModel model = random_model("test-tiny", "Q4_K_M");
  ASSERT_TRUE(model.text);
  const ModelFacts facts = model_facts(model.text->file(), model.name);
  EXPECT_EQ(facts.architecture, "llama");
  EXPECT_THAT(facts.types, ::testing::HasSubstr("Q4_K"));
  EXPECT_THAT(facts.types, ::testing::HasSubstr("Q6_K"));  // the recipe's choice for half of the layers
  const std::vector<bench::Test> tests = {{8, 0, 0, 1}, {0, 2, 16, 1}, {0, 2, 4, 3}, {4, 2, 0, 2}};
  const auto results = bench_text(model.text->file(), facts, {.threads = 2, .isa = {}}, tests, {.repetitions = 2, .most_warmups = 1}, {}, {});
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0].test, "pp8");
  EXPECT_EQ(results[1].test, "tg2 @ d16");
  EXPECT_EQ(results[2].test, "tg2 x3 @ d4");
  EXPECT_EQ(results[3].test, "pp4+tg2 x2");
  EXPECT_EQ(results[3].amount, 12);
  for (const Result& r : results) EXPECT_EQ(r.samples.seconds.size(), 2u);
}

TEST(BenchShapes, PrefixesAreSharedAndComputedOnce) {
  const RandomModel model = random_model("test-tiny", "Q8_0");
  const std::vector<bench::Test> tests = {{0, 1, 40, 2}, {0, 1, 100, 1}};
  TextRunner runner(model.text->file(), {.threads = 1, .isa = {}}, tests);
  for (int round = 0; round < 3; ++round)
    for (const bench::Test& t : tests) {
      runner.prepare(t);
      runner.run(t);
      EXPECT_EQ(runner.cache().length(0), 100);  // the prefix of both
      EXPECT_EQ(runner.cache().length(2), t.depth + 1);
    }
}

}  // namespace
}  // namespace mtmd::bench
