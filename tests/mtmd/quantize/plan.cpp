#include "mtmd/quantize/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/base/error.h"
#include "engine/gguf/writer.h"
#include "mtmd/quantize/job.h"
#include "mtmd/quantize/models.h"

namespace mtmd::quantize::test {
namespace {

using ::testing::HasSubstr;

PlanOptions options(std::string_view type) {
  PlanOptions o;
  o.recipe.type = &file_type(type);
  o.provenance = false;
  return o;
}

/// The category and the message of what `f` throws.
template <class F>
std::pair<ErrorCategory, std::string> failure(F f) {
  try {
    f();
  } catch (const Error& e) {
    return {e.category(), e.what()};
  }
  return {ErrorCategory::internal, "nothing thrown"};
}

quality::ImportanceMatrix matrix_for(const Shape& s) {
  quality::ImportanceMatrix m;
  for (const Named& t : tensors_of(s)) {
    if (t.shape.size() < 2) continue;
    const auto matrices = static_cast<std::size_t>(t.shape.size() == 3 ? t.shape[0] : 1);
    auto& e = m.entries[t.name];
    e.sums.assign(matrices * static_cast<std::size_t>(t.shape.back()), 2.0f);
    e.counts.assign(matrices, 4.0f);
  }
  m.datasets = {"calibration.txt"};
  m.chunk_count = 7;
  return m;
}

TEST(Plan, OrderSizesAndMetadata) {
  const Shape shape{.n_layer = 12};
  const auto bytes = random_model(shape);
  const gguf::File file = gguf::File::from_memory(bytes, "model");
  PlanOptions o = options("Q4_K_M");
  o.overrides = {parse_override("a.note=str:changed"), parse_override("b=int:-5"), parse_override("c=bool:true"),
                 parse_override("d=float:0.5")};
  const Plan plan = make_plan(file, o);
  // Ten comes after two; output and embedding first.
  std::vector<std::string> names;
  for (const PlannedTensor& t : plan.tensors) names.push_back(t.name);
  EXPECT_EQ(names[0], "output.weight");
  const auto at = [&](const char* name) { return std::ranges::find(names, name) - names.begin(); };
  EXPECT_LT(at("blk.2.attn_k.weight"), at("blk.10.attn_k.weight"));
  EXPECT_EQ(plan.n_converted, 2u + 12 * 7);
  EXPECT_EQ(plan.n_fallback, 0u);
  EXPECT_NEAR(plan.bits_per_weight(), 5.0, 0.5);

  const auto written = to_memory(file, plan, 2);
  EXPECT_EQ(written.size(), plan.file_bytes());
  const gguf::File result = gguf::File::from_memory(written, "result");
  const gguf::Metadata& m = result.metadata();
  EXPECT_EQ(m.require<std::uint32_t>("general.file_type"), 15u);
  EXPECT_EQ(m.require<std::uint32_t>("general.quantization_version"), 2u);
  EXPECT_EQ(m.require<std::string_view>("a.note"), "changed");
  EXPECT_EQ(m.require<std::uint32_t>("b"), 5u);  // as llama-quantize stores integers
  EXPECT_EQ(m.require<bool>("c"), true);
  EXPECT_EQ(m.require<float>("d"), 0.5f);
  EXPECT_EQ(result.find("output.weight")->type, DType::Q6_K);
  EXPECT_EQ(result.find("output_norm.weight")->type, DType::F32);
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(result.tensors()[i].name, names[i]);
}

TEST(Plan, PrunedLayersAreLeftOutAndTheRestMovesUp) {
  const auto bytes = random_model({.n_layer = 4});
  const gguf::File file = gguf::File::from_memory(bytes, "model");
  PlanOptions o = options("COPY");
  o.prune_layers = {1, 2};
  const Plan plan = make_plan(file, o);
  const auto written = to_memory(file, plan, 1);
  const gguf::File result = gguf::File::from_memory(written, "result");
  EXPECT_EQ(result.metadata().require<std::uint32_t>("llama.block_count"), 2u);
  EXPECT_EQ(result.find("blk.2.attn_k.weight"), nullptr);
  const auto original = file.find("blk.3.attn_k.weight")->data, moved = result.find("blk.1.attn_k.weight")->data;
  EXPECT_TRUE(std::ranges::equal(original, moved));
  o.prune_layers = {9};
  EXPECT_THAT(failure([&] { make_plan(file, o); }).second, HasSubstr("layer 9"));
}

TEST(Plan, QuantisedSourcesNeedPermission) {
  const auto bytes = random_model({});
  const gguf::File file = gguf::File::from_memory(bytes, "model");
  const auto q8 = to_memory(file, make_plan(file, options("Q8_0")), 2);
  const gguf::File again = gguf::File::from_memory(q8, "q8.gguf");
  PlanOptions o = options("Q4_0");
  const auto [category, message] = failure([&] { make_plan(again, o); });
  EXPECT_EQ(category, ErrorCategory::usage);
  EXPECT_THAT(message, HasSubstr("--allow-requantize"));
  EXPECT_THAT(message, HasSubstr("q8.gguf"));
  o.allow_requantize = true;
  EXPECT_EQ(make_plan(again, o).n_converted, 2u + 2 * 7);  // the output becomes Q6_K
  EXPECT_NO_THROW(make_plan(again, options("Q8_0")));      // nothing to convert
}

TEST(Plan, ImportanceIsLookedUpCheckedAndNoted) {
  const Shape shape{.n_layer = 2, .n_expert = 4};
  const auto bytes = random_model(shape);
  const gguf::File file = gguf::File::from_memory(bytes, "model");
  PlanOptions o = options("Q2_K_S");
  const auto [missing, what] = failure([&] { make_plan(file, o); });
  EXPECT_EQ(missing, ErrorCategory::usage);
  EXPECT_THAT(what, HasSubstr("--imatrix"));

  quality::ImportanceMatrix matrix = matrix_for(shape);
  const ImportanceWeights all = importance_weights(matrix, "some.imatrix.gguf");
  EXPECT_EQ(all.weights.at("blk.0.attn_k.weight").at(0), 0.5f);
  o.importance = &all;
  const Plan plan = make_plan(file, o);
  for (const PlannedTensor& t : plan.tensors) {
    if (t.copied()) continue;
    EXPECT_EQ(std::ssize(t.importance), t.columns() * (t.source->shape.size() == 3 ? 4 : 1)) << t.name;
  }
  const auto written = to_memory(file, plan);
  const gguf::File result = gguf::File::from_memory(written, "result");
  EXPECT_EQ(result.metadata().require<std::string_view>("quantize.imatrix.file"), "some.imatrix.gguf");
  EXPECT_EQ(result.metadata().require<std::string_view>("quantize.imatrix.dataset"), "calibration.txt");
  EXPECT_EQ(result.metadata().require<std::uint32_t>("quantize.imatrix.chunks_count"), 7u);

  const std::vector<std::string> some = {"attn_v", "blk.1"};
  const ImportanceWeights included = importance_weights(matrix, "x", some),
                          excluded = importance_weights(matrix, "x", {}, some);
  EXPECT_EQ(included.weights.size() + excluded.weights.size(), all.weights.size());
  EXPECT_TRUE(included.weights.contains("blk.0.attn_v.weight"));
  EXPECT_FALSE(excluded.weights.contains("blk.1.ffn_up_exps.weight"));
}

TEST(Plan, ImportanceOfAnotherModelIsRefused) {
  const auto bytes = random_model({});
  const gguf::File file = gguf::File::from_memory(bytes, "model.gguf");
  PlanOptions o = options("Q4_K_M");
  const ImportanceWeights wider = importance_weights(matrix_for({.width = 512, .ff = 512}), "wide.imatrix.gguf");
  o.importance = &wider;
  const auto [category, message] = failure([&] { make_plan(file, o); });
  EXPECT_EQ(category, ErrorCategory::input);
  EXPECT_THAT(message, HasSubstr("wide.imatrix.gguf"));
  EXPECT_THAT(message, HasSubstr("256 columns"));
  quality::ImportanceMatrix strange;
  strange.entries["encoder.q"] = {std::vector<float>(256, 1), {1}};
  const ImportanceWeights other = importance_weights(strange, "other.gguf");
  o.importance = &other;
  EXPECT_THAT(failure([&] { make_plan(file, o); }).second, HasSubstr("none of its 1 entries"));
  quality::ImportanceMatrix partial = matrix_for({});
  partial.entries.erase("blk.1.ffn_up.weight");
  const ImportanceWeights part = importance_weights(partial, "part.gguf");
  o.importance = &part;
  const Plan plan = make_plan(file, o);
  ASSERT_EQ(plan.warnings.size(), 1u);
  EXPECT_THAT(plan.warnings[0], HasSubstr("blk.1.ffn_up.weight"));
}

TEST(Plan, OverridesThatMakeNoSenseAreRefused) {
  for (const char* text : {"", "a", "a=", "=int:5", "a=int", "a=int:", "a=int:x", "a=int:5x", "a=int:99999999999",
                           "a=float:", "a=bool:yes", "a=number:5"})
    EXPECT_EQ(failure([&] { parse_override(text); }).first, ErrorCategory::usage) << text;
  EXPECT_EQ(std::get<std::string>(parse_override("a=str:x=y:z").value), "x=y:z");
}

TEST(Plan, IdentityKnowsEveryOption) {
  const auto bytes = random_model({});
  const gguf::File file = gguf::File::from_memory(bytes, "model");
  const std::string id = make_plan(file, options("Q4_0")).identity;
  EXPECT_EQ(make_plan(file, options("Q4_0")).identity, id);
  EXPECT_NE(make_plan(file, options("Q4_1")).identity, id);
  PlanOptions o = options("Q4_0");
  o.best = true;
  EXPECT_NE(make_plan(file, o).identity, id);
  o = options("Q4_0");
  const ImportanceWeights w = importance_weights(matrix_for({}), "x");
  o.importance = &w;
  EXPECT_NE(make_plan(file, o).identity, id);
}

}  // namespace
}  // namespace mtmd::quantize::test
