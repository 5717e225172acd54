// Properties that every projector type has, whatever its weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "encoders/projector/loaded.h"

namespace mtmd::encoders {
namespace {

using ::testing::HasSubstr;
using namespace testing;  // NOLINT: mtmd::encoders::testing

class EachType : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Projectors, EachType, ::testing::ValuesIn(TinyMmproj::types()));

TEST(Registry, EveryTypeHasATinyFile) {
  std::vector<std::string> registered;
  for (std::string_view type : projector_types()) registered.emplace_back(type);
  EXPECT_THAT(TinyMmproj::types(), ::testing::UnorderedElementsAreArray(registered));
}

TEST_P(EachType, CountAgreesWithPreprocessing) {
  const Loaded loaded(GetParam());
  const int sides[] = {1, 2, 3, 13, 27, 28, 29, 55, 56, 57, 84, 97, 200};
  for (int w : sides) {
    for (int h : sides) {
      const Preprocessed pre = loaded.projector->preprocess({{noise({w, h})}}, {});
      int n = 0;
      for (const Input& input : pre.inputs) n += loaded.projector->n_tokens(input);
      EXPECT_EQ(loaded.projector->count_tokens({w, h}, {}), n) << w << " x " << h;
      std::vector<int> placed;
      for (const Piece& piece : pre.layout) {
        if (piece.input >= 0) placed.push_back(piece.input);
      }
      EXPECT_EQ(placed.size(), pre.inputs.size());  // every input has one place
      EXPECT_GE(pre.used.width, 1);
      EXPECT_GE(pre.used.height, 1);
    }
  }
}

TEST_P(EachType, ExtremeSizesStayBounded) {
  const Loaded loaded(GetParam());
  for (image::Size size : {image::Size{30000, 2}, {65535, 1}, {1, 65535}, {2, 30000}, {6000, 4000}}) {
    const Preprocessed pre = loaded.projector->preprocess({{noise(size)}}, {});
    int n = 0;
    std::size_t values = 0;
    for (const Input& input : pre.inputs) n += loaded.projector->n_tokens(input), values += input.frames[0].rgb.size();
    EXPECT_EQ(loaded.projector->count_tokens(size, {}), n);
    EXPECT_LE(n, tiny_type(GetParam()).most_tokens);
    EXPECT_LE(values, std::size_t{3} * tiny_type(GetParam()).most_tokens * 14 * 14 * 4)
        << size.width << " x " << size.height;
  }
}

TEST_P(EachType, SizesBeyondAnyPicture) {
  const Loaded loaded(GetParam());
  for (int w : {1, 1000, 20000, 1 << 20, std::numeric_limits<int>::max()}) {
    for (int h : {1, 20000, 1 << 20, std::numeric_limits<int>::max()}) {
      const int n = loaded.projector->count_tokens({w, h}, {});
      EXPECT_GE(n, 1);
      EXPECT_LE(n, tiny_type(GetParam()).most_tokens) << w << " x " << h;
    }
  }
  EXPECT_THROW(loaded.projector->count_tokens({0, 5}, {}), Error);
}

TEST_P(EachType, BatchesEqualSingles) {
  const Loaded loaded(GetParam(), {}, Precision::f32);  // others may round few rows and many rows differently
  std::vector<Input> inputs;
  for (std::uint32_t seed : {1u, 2u, 3u}) {
    inputs.push_back(loaded.projector->preprocess({{noise({28, 28}, seed)}}, {}).inputs.back());
  }
  std::vector<const Input*> all;
  std::vector<float> singles;
  for (const Input& input : inputs) {
    const Input* one = &input;
    all.push_back(one);
    const std::vector<float> values = encode(loaded, {&one, 1});
    singles.insert(singles.end(), values.begin(), values.end());
  }
  const std::vector<float> batch = encode(loaded, all);
  ASSERT_EQ(batch.size(), singles.size());
  EXPECT_LT(relative_l2(batch, singles), 1e-5);
}

TEST_P(EachType, AgreesWithTheReferenceDevice) {
  const Loaded fast(GetParam());
  Loaded slow(GetParam());
  slow.projector.reset();
  slow.device = make_device("reference");
  slow.projector = load_projector(*slow.file, *slow.device);
  const Preprocessed pre = fast.projector->preprocess({{noise({61, 40})}}, {});
  for (const Input& input : pre.inputs) {
    const Input* one = &input;
    EXPECT_LT(relative_l2(encode(fast, {&one, 1}), encode(slow, {&one, 1})), 1e-4);
  }
}

TEST_P(EachType, OlderNamingOfTheFeedForwardNet) {
  if (!tiny_type(GetParam()).encoder) return;  // has no such net
  if (!tiny_type(GetParam()).older_naming) {   // no such files exist, and the README names the types that swap
    EXPECT_THAT(message_of(TinyMmproj(GetParam(), {.swapped_ffn = true})), HasSubstr("ffn_"));
    return;
  }
  const Loaded today(GetParam()), older(GetParam(), {.swapped_ffn = true});
  const Preprocessed pre = today.projector->preprocess({{noise({40, 30})}}, {});
  const Input* one = &pre.inputs.front();
  EXPECT_EQ(encode(today, {&one, 1}), encode(older, {&one, 1}));
}

TEST_P(EachType, NotANumberIsAnErrorOfTheModel) {
  const Loaded loaded(GetParam());
  Input input = loaded.projector->preprocess({{noise({28, 28})}}, {}).inputs.front();
  input.frames[0].rgb[5] = std::numeric_limits<float>::infinity();
  const Input* one = &input;
  try {
    encode(loaded, {&one, 1});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::model);
    EXPECT_THAT(e.what(), HasSubstr("tiny.gguf"));
  }
}

TEST_P(EachType, PresetsComeFromTheFile) {
  TinyMmproj mmproj(GetParam(), {});
  const Presets own = Loaded(mmproj).projector->presets();
  EXPECT_EQ(own.ocr_prompt.empty(), own.picture_alone);
  EXPECT_FALSE(own.describe_prompt.empty());
  EXPECT_TRUE(own.reads.empty());
  mmproj.writer().set("mtmd.reads", "lines");
  mmproj.writer().set("mtmd.line_height", std::int32_t{32});
  mmproj.writer().set("mtmd.max_width", std::int32_t{320});
  mmproj.writer().set("mtmd.ocr_prompt", "OCR");
  const Presets presets = Loaded(mmproj).projector->presets();
  EXPECT_EQ(presets.reads, "lines");
  EXPECT_EQ(presets.line_height, 32);
  EXPECT_EQ(presets.max_line_width, 320);
  EXPECT_EQ(presets.ocr_prompt, "OCR");
  EXPECT_FALSE(presets.picture_alone);
  EXPECT_EQ(presets.gap, "");
}

TEST(Limits, VariableTypesFollowThem) {
  const Loaded loaded("qwen2vl_merger");
  for (image::Size size : {image::Size{1000, 800}, {30000, 2}, {5, 5}}) {
    EXPECT_LE(loaded.projector->count_tokens(size, {std::nullopt, 20}), 20);
    EXPECT_GE(loaded.projector->count_tokens(size, {100, std::nullopt}), 100);
  }
  EXPECT_THROW(loaded.projector->count_tokens({50, 50}, {9, 8}), Error);
  EXPECT_THROW(loaded.projector->count_tokens({50, 50}, {std::nullopt, 0}), Error);
}

TEST(Limits, FixedTypesRefuseWhatTheyCannotHonour) {
  const Loaded loaded("gemma3");  // 4 x 4 patches pooled by 2: 4 tokens
  EXPECT_EQ(loaded.projector->count_tokens({50, 50}, {1, 64}), 4);
  try {
    loaded.projector->count_tokens({50, 50}, {std::nullopt, 3});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
  }
}

TEST(Video, PairsOfFramesShareTheirTokens) {
  const Loaded loaded("qwen2vl_merger");
  const image::Image a = noise({60, 40}, 1), b = noise({60, 40}, 2);
  const Preprocessed pair = loaded.projector->preprocess({{a, b}}, {}),
                     single = loaded.projector->preprocess({{a}}, {});
  ASSERT_EQ(pair.inputs.size(), 1u);
  EXPECT_EQ(loaded.projector->n_tokens(pair.inputs[0]), loaded.projector->n_tokens(single.inputs[0]));
  const Preprocessed same = loaded.projector->preprocess({{a, a}}, {});
  const Input *still = &single.inputs[0], *twice = &same.inputs[0];
  EXPECT_LT(relative_l2(encode(loaded, {&twice, 1}), encode(loaded, {&still, 1})), 1e-6);
  EXPECT_THROW(loaded.projector->preprocess({{a, noise({40, 60})}}, {}), Error);
}

TEST(Memory, LinearInThePatches) {
  const Loaded loaded(
      "qwen2vl_merger",
      {.n_embd = 64, .n_heads = 4, .n_ff = 256, .n_layers = 1, .image_size = 28, .patch_size = 4, .text_width = 64});
  const auto peak = [&](int side) {
    const Preprocessed pre = loaded.projector->preprocess({{noise({side, side})}}, {});
    EXPECT_EQ(loaded.projector->n_tokens(pre.inputs[0]) * 4, side * side / 16);
    const Input* one = &pre.inputs[0];
    std::size_t bytes = 0;
    encode(loaded, {&one, 1}, &bytes);
    return static_cast<double>(bytes);
  };
  const double small = peak(128), large = peak(256);  // 1024 and 4096 patches
  RecordProperty("peak_bytes_4096_patches", static_cast<int>(large));
  EXPECT_LT(large, 5 * small);  // four times the patches, and what the arena rounds up; quadratic would be 16
  EXPECT_LT(large, 8.0 * 4096 * 64 * sizeof(float));  // x, its norm, q, k, v, and the merged cells
}

}  // namespace
}  // namespace mtmd::encoders
