#include "mtmd/quantize/recipe.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "mtmd/quantize/models.h"

namespace mtmd::quantize::test {
namespace {

// The shapes that recorded_types.inc was recorded with.
const std::vector<Shape> kShapes = {
    {.n_layer = 80, .n_head_kv = 1, .rope_factors = true},
    {.n_layer = 80, .n_head_kv = 4, .rope_factors = true},
    {.architecture = "qwen2", .n_layer = 80, .tied = true},
    {.architecture = "qwen3", .n_layer = 80, .qk_norm = true},
    {.n_layer = 33, .n_head_kv = 1, .rope_factors = true},
    {.architecture = "qwen2", .n_layer = 28, .tied = true},
    {.n_layer = 16, .n_head_kv = 4, .tied = true},
    {.n_layer = 16, .n_expert = 8},
    {.n_layer = 12, .n_head_kv = 1, .n_expert = 4},
    {.architecture = "qwen3moe", .n_layer = 17, .n_expert = 3, .qk_norm = true},
    {.architecture = "phi3", .n_layer = 24, .n_head_kv = 4, .fused_qkv = true},
    {.architecture = "gemma3", .n_layer = 26, .n_head_kv = 1, .tied = true, .qk_norm = true, .post_norms = true},
};

struct Recorded {
  const char* type;
  std::array<std::uint32_t, 24> crc;
};
const std::vector<Recorded> kRecorded = {
#include "mtmd/quantize/recorded_types.inc"
};

std::uint32_t crc32_of(const std::string& text) {
  std::uint32_t crc = ~0u;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

/// A shape as the rules see it.
class Model {
 public:
  explicit Model(const Shape& s) : list_(tensors_of(s)) {
    facts.architecture = s.architecture;
    facts.n_layer = s.n_layer, facts.n_head = s.n_head, facts.n_head_kv = s.n_head_kv, facts.n_expert = s.n_expert;
    facts.has_output = !s.tied;
    const auto layer = [](const Named& t) { return t.name.starts_with("blk.") ? std::stoi(t.name.substr(4)) : -1; };
    std::ranges::sort(list_, {}, [&](const Named& t) { return std::pair(layer(t), t.name); });
    for (const Named& t : list_) tensors.push_back({t.name, t.shape.size() > 1 ? DType::F16 : DType::F32, t.shape});
  }
  std::vector<Choice> choose(const RecipeOptions& o) const { return choose_types(facts, tensors, o); }
  DType type(const RecipeOptions& o, std::string_view name) const {
    const auto choices = choose(o);
    const auto at = std::ranges::find(tensors, name, &TensorFacts::name);
    return choices.at(static_cast<std::size_t>(at - tensors.begin())).type;
  }

  ModelFacts facts;
  std::vector<TensorFacts> tensors;

 private:
  std::vector<Named> list_;
};

RecipeOptions options(std::string_view type) { return {.type = &file_type(type)}; }

TEST(Recipe, EveryNamedTypeOnEveryShapeIsTheReference) {
  ASSERT_EQ(kRecorded.size(), 35u);
  for (std::size_t s = 0; s < kShapes.size(); ++s) {
    const Model model(kShapes[s]);
    for (const Recorded& recorded : kRecorded)
      for (const bool imatrix : {false, true}) {
        RecipeOptions o = options(recorded.type);
        o.has_imatrix = imatrix;
        const auto choices = model.choose(o);
        std::string text;
        for (std::size_t i = 0; i < choices.size(); ++i) {
          const std::string_view name = model.tensors[i].name;
          const auto has = [&](const char* part) { return name.find(part) != name.npos; };
          if (!has("norm") && !has("bias") && !has("rope") && !has("gate_inp"))
            text += fmt::format("{}={}\n", name, mtmd::name(choices[i].type));
        }
        EXPECT_EQ(crc32_of(text), recorded.crc[2 * s + imatrix])
            << recorded.type << " on shape " << s << ", imatrix " << imatrix;
      }
  }
}

TEST(Recipe, RowsThatFitNoBlockFallBack) {
  Model model({.width = 256});
  const std::array<std::int64_t, 2> odd32 = {8, 96}, odd = {8, 100};
  model.tensors = {{"blk.0.ffn_up.weight", DType::F32, odd32}, {"blk.1.ffn_up.weight", DType::F32, odd}};
  const auto expect = [&](const char* type, DType first, DType second) {
    RecipeOptions o = options(type);
    o.pure = true;
    const auto c = model.choose(o);
    EXPECT_EQ(c[0].type, first) << type;
    EXPECT_EQ(c[0].why, first == o.type->base ? Choice::Why::recipe : Choice::Why::fallback) << type;
    EXPECT_EQ(c[1].type, second) << type;
  };
  expect("Q4_K_M", DType::Q5_0, DType::F16);
  expect("Q5_K_M", DType::Q5_1, DType::F16);
  expect("Q6_K", DType::Q8_0, DType::F16);
  expect("Q2_K", DType::Q4_0, DType::F16);
  expect("Q3_K_M", DType::Q4_0, DType::F16);
  expect("IQ4_XS", DType::IQ4_NL, DType::F16);
  expect("IQ1_S", DType::IQ4_NL, DType::F16);
  expect("IQ3_M", DType::IQ4_NL, DType::F16);
  expect("TQ1_0", DType::Q4_0, DType::F16);
  expect("Q2_0", DType::Q4_0, DType::F16);
  expect("Q8_0", DType::Q8_0, DType::F16);
  expect("NVFP4", DType::MXFP4, DType::F16);
  expect("F16", DType::F16, DType::F16);
  EXPECT_THROW(model.choose(options("Q1_0")), Error);  // no type stands in for it
}

TEST(Recipe, OptionsOverrideTheMixture) {
  const Model model({.n_layer = 2});
  RecipeOptions o = options("Q4_K_M");
  EXPECT_EQ(model.type(o, "output.weight"), DType::Q6_K);
  o.output_type = DType::Q8_0;
  o.embedding_type = DType::Q5_0;
  o.patterns.push_back(make_pattern("output", DType::Q4_0, "--tensor-type"));
  o.patterns.push_back(make_pattern(R"(blk\.0\.attn_[kq])", DType::Q5_1, "--tensor-type"));
  o.patterns.push_back(make_pattern("attn", DType::Q8_0, "--tensor-type"));
  EXPECT_EQ(model.type(o, "output.weight"), DType::Q8_0);  // the option wins over the pattern
  EXPECT_EQ(model.type(o, "token_embd.weight"), DType::Q5_0);
  EXPECT_EQ(model.type(o, "blk.0.attn_output.weight"), DType::Q4_0);
  EXPECT_EQ(model.type(o, "blk.0.attn_k.weight"), DType::Q5_1);  // the first pattern that is found
  EXPECT_EQ(model.type(o, "blk.1.attn_k.weight"), DType::Q8_0);
  EXPECT_EQ(model.type(o, "blk.1.attn_norm.weight"), DType::F32);
  o = options("F16");
  o.patterns.push_back(make_pattern("ffn", DType::Q8_0, "--tensor-type"));
  EXPECT_EQ(model.type(o, "blk.0.ffn_up.weight"), DType::F16);  // as there: patterns refine quantised types only
  o = options("Q2_K");
  o.pure = true;
  EXPECT_EQ(model.type(o, "output.weight"), DType::Q2_K);
  o.leave_output = true;
  EXPECT_EQ(model.type(o, "output.weight"), DType::F16);
  o.assigned["blk.1.ffn_up.weight"] = DType::Q6_K;
  EXPECT_EQ(model.type(o, "blk.1.ffn_up.weight"), DType::Q6_K);
  EXPECT_EQ(model.type(options("COPY"), "output.weight"), DType::F16);
}

TEST(Recipe, EncodersOfTheLibraryAreKeptLoadable) {
  Model model({});
  const std::array<std::int64_t, 2> matrix = {64, 64}, vector = {1, 64};
  const std::array<std::int64_t, 4> kernel = {64, 3, 14, 14};
  const std::array<std::int64_t, 3> conv = {64, 80, 3};
  model.facts = {.architecture = "clip", .mmproj = true};
  model.tensors = {{"v.position_embd.weight", DType::F32, matrix}, {"v.patch_embd.weight", DType::F32, kernel},
                   {"v.blk.0.attn_q.weight", DType::F32, matrix},  {"mm.patch_merger.weight", DType::F32, matrix},
                   {"v.blk.0.ln1.weight", DType::F32, vector},     {"a.conv1d.1.weight", DType::F32, conv},
                   {"v.sam.neck.0.weight", DType::F32, kernel},    {"mm.0.bias", DType::F32, matrix}};
  const auto c = model.choose(options("Q8_0"));
  for (std::size_t i = 0; i < c.size(); ++i)
    EXPECT_EQ(c[i].type == DType::F32, i != 2 && i != 5) << model.tensors[i].name;
  EXPECT_EQ(c[2].type, DType::Q8_0);
  EXPECT_EQ(c[5].type, DType::F16);  // rows of three values
}

TEST(Recipe, ExpertsWithoutALayerNumberAreDamage) {
  Model model({.n_layer = 4, .n_expert = 8});
  const std::array<std::int64_t, 3> experts = {8, 256, 256};
  model.tensors = {{"blk.7.ffn_down_exps.weight", DType::F16, experts}};
  EXPECT_THROW(model.choose(options("Q4_K_M")), Error);
  model.tensors = {{"ffn_down_exps.weight", DType::F16, experts}};
  EXPECT_THROW(model.choose(options("Q4_K_M")), Error);
  EXPECT_THROW(make_pattern("blk.(", DType::Q8_0, "--tensor-type"), Error);
}

}  // namespace
}  // namespace mtmd::quantize::test
