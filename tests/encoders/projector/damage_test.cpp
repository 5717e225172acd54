// Files that are wrong: hyper-parameters out of range, tensors missing or of another shape. Every complaint is an error
// of the model that names the file and the culprit; what is no error must still encode.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "encoders/projector/loaded.h"

namespace mtmd::encoders {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using namespace testing;  // NOLINT: mtmd::encoders::testing

class DamagedType : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Projectors, DamagedType, ::testing::ValuesIn(TinyMmproj::types()));

TEST_P(DamagedType, HyperParametersAreChecked) {
  const auto with = [&](const std::string& key, auto value) {
    TinyMmproj mmproj(GetParam(), {});
    mmproj.writer().set(key, value);
    return message_of(mmproj);
  };
  const std::string v = "clip.vision.";
  EXPECT_THAT(with(v + "embedding_length", std::int32_t{0}),
              AllOf(HasSubstr("tiny.gguf"), HasSubstr("embedding_length is 0")));
  EXPECT_THAT(with(v + "embedding_length", std::int32_t{1 << 30}), HasSubstr("expected 1 to"));
  EXPECT_THAT(with(v + "embedding_length", std::int32_t{15}), HasSubstr("no multiple of"));
  EXPECT_THAT(with(v + "block_count", std::int32_t{-1}), HasSubstr("block_count is -1"));
  if (tiny_type(GetParam()).encoder) {
    EXPECT_THAT(with(v + "block_count", std::int32_t{3}), HasSubstr("v.blk.2."));
  }
  EXPECT_THAT(with(v + "attention.head_count", std::int32_t{0}), HasSubstr("head_count is 0"));
  EXPECT_THAT(with(v + "patch_size", std::int32_t{100000}), HasSubstr("patch_size is 100000"));
  EXPECT_THAT(with(v + "patch_size", std::int32_t{6}),
              AnyOf(HasSubstr("patch_embd"), HasSubstr("clip.vision.patch_size")));
  EXPECT_THAT(with(v + "image_size", std::int32_t{-28}), HasSubstr("image_size is -28"));
  EXPECT_THAT(with(v + "attention.layer_norm_epsilon", -1.0f), HasSubstr("layer_norm_epsilon"));
  EXPECT_THAT(with(v + "attention.layer_norm_epsilon", std::numeric_limits<float>::quiet_NaN()),
              HasSubstr("layer_norm_epsilon"));
  const std::vector<float> zeros(3, 0.0f), two(2, 0.5f);
  EXPECT_THAT(with(v + "image_std", std::span<const float>(zeros)), HasSubstr("image_std holds 0"));
  EXPECT_THAT(with(v + "image_mean", std::span<const float>(two)), HasSubstr("image_mean has 2 values"));
  EXPECT_THAT(with("clip.projector_type", "gemma9"),
              AllOf(HasSubstr("'gemma9' is not supported"), HasSubstr("idefics3")));
  EXPECT_THAT(with("general.architecture", "llama"), HasSubstr("not an mmproj file"));
  EXPECT_THAT(with("clip.has_vision_encoder", false), HasSubstr("cannot read pictures"));
}

/// Encodes a small picture with a file that loaded; the values must be sound.
void expect_sound(const TinyMmproj& mmproj, const std::string& what) {
  const Loaded loaded(mmproj);
  const Preprocessed pre = loaded.projector->preprocess({{noise({30, 40})}}, {});
  const Input* one = &pre.inputs.front();
  EXPECT_FALSE(encode(loaded, {&one, 1}).empty()) << what;
}

TEST_P(DamagedType, EveryIntegerKeyIsChecked) {
  const std::set<std::string> unread = {"clip.vision.feed_forward_length", "clip.vision.projection_dim"};
  const std::vector<std::string> keys = TinyMmproj(GetParam(), {}).integer_keys();
  for (const std::string& key : std::set<std::string>(keys.begin(), keys.end())) {
    for (const std::int32_t value : {std::numeric_limits<std::int32_t>::min(), -1, 0, 1 << 30}) {
      TinyMmproj mmproj(GetParam(), {});
      mmproj.writer().set(key, value);
      const std::string message = message_of(mmproj);
      if (message.empty()) {
        EXPECT_TRUE(unread.count(key) > 0 || value == 0) << key << " may be " << value;
        if (unread.count(key) == 0) expect_sound(mmproj, key);
      } else {
        EXPECT_THAT(message, AllOf(HasSubstr("tiny.gguf"), HasSubstr(key.substr(key.rfind('.') + 1)),
                                   HasSubstr(std::to_string(value))));
      }
    }
  }
}

TEST_P(DamagedType, MissingTensorsAreNamed) {
  int n_named = 0;
  const auto tensors = TinyMmproj(GetParam(), {}).tensors();
  for (const std::string& tensor : tensors) {
    const TinyMmproj mmproj(GetParam(), {.missing = tensor});
    const std::string message = message_of(mmproj);
    n_named += !message.empty();
    if (message.empty()) {
      expect_sound(mmproj, tensor);
    } else {
      // A fused or an older form may be named instead of the missing part.
      EXPECT_THAT(message, AllOf(HasSubstr("tiny.gguf"), HasSubstr(tensor.substr(0, tensor.rfind('.')).substr(0, 8))));
    }
  }
  EXPECT_GE(n_named, std::min<int>(10, static_cast<int>(tensors.size()) / 2)) << "of " << tensors.size();
}

TEST_P(DamagedType, TensorsOfAnotherShapeAreErrors) {
  int n_refused = 0;
  const auto tensors = TinyMmproj(GetParam(), {}).tensors();
  for (const std::string& tensor : tensors) {
    const TinyMmproj mmproj(GetParam(), {.enlarged = tensor});
    const std::string message = message_of(mmproj);
    n_refused += !message.empty();
    if (message.empty()) {
      expect_sound(mmproj, tensor);  // a width that the file may choose
    } else {
      EXPECT_THAT(message, AllOf(HasSubstr("tiny.gguf"), AnyOf(HasSubstr("expected"), HasSubstr("the metadata ask for"),
                                                               HasSubstr("as many"))));
    }
  }
  EXPECT_GE(n_refused, std::min<int>(20, static_cast<int>(tensors.size()) * 3 / 4)) << "of " << tensors.size();
}

TEST(Lists, LayersOutOfRange) {
  const auto with = [](const char* type, const char* key, auto value) {
    TinyMmproj mmproj(type, {});
    mmproj.writer().set(key, value);
    return message_of(mmproj);
  };
  const std::vector<std::int32_t> beyond = {2}, negative = {-1}, none;
  constexpr const char* kFull = "clip.vision.wa_layer_indexes";
  EXPECT_THAT(with("youtuvl", kFull, std::span<const std::int32_t>(beyond)),
              AllOf(HasSubstr(kFull), HasSubstr("holds 2, expected 0 to 1")));
  EXPECT_THAT(with("youtuvl", kFull, std::span<const std::int32_t>(negative)), HasSubstr("holds -1"));
  EXPECT_EQ(with("youtuvl", kFull, std::span<const std::int32_t>(none)), "");  // all layers see everything
  EXPECT_THAT(with("qwen3vl_merger", "clip.vision.is_deepstack_layers", std::vector<bool>(3, true)),
              HasSubstr("has 3 values, expected at most 2"));
  EXPECT_THAT(with("qwen3vl_merger", "clip.vision.is_deepstack_layers", std::vector<bool>{true, true}),
              HasSubstr("v.deepstack.0."));
  EXPECT_THAT(with("exaone4_5", "clip.vision.attention.head_count_kv", std::int32_t{3}), HasSubstr("head_count_kv"));
}

TEST(Heads, MustDivideIntoRotatedPairs) {
  for (const char* type :
       {"qwen2vl_merger", "qwen2.5o", "paddleocr", "dots_ocr", "kimivl", "glm4v", "pixtral", "youtuvl"})
    EXPECT_THAT(message_of(TinyMmproj(type, {.n_embd = 12})), HasSubstr("heads of 6 values")) << type;
}

TEST(Omni, TheAudioHalfIsLeftAlone) {
  TinyMmproj mmproj("qwen2.5o", {});  // its audio keys and tensors make no sense
  EXPECT_EQ(message_of(mmproj), "");
}

}  // namespace
}  // namespace mtmd::encoders
