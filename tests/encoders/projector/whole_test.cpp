// What is special about the types that see whole pictures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "encoders/projector/loaded.h"

namespace mtmd::encoders {
namespace {

using ::testing::ElementsAre;
using testing::encode;
using testing::Loaded;
using testing::noise;

constexpr const char* kFollowing[] = {"qwen2vl_merger", "qwen2.5vl_merger", "qwen2.5o", "qwen3vl_merger", "exaone4_5",
                                      "glm4v",          "paddleocr",        "dots_ocr", "kimivl",         "kimik25",
                                      "lightonocr",     "minimax_m3"};

TEST(WholePictures, FollowTheUsersLimits) {
  for (const char* type : kFollowing) {
    const Loaded loaded(type);
    for (const image::Size size : {image::Size{1000, 800}, {30000, 2}, {5, 5}}) {
      EXPECT_LE(loaded.projector->count_tokens(size, {std::nullopt, 20}), 20) << type;
      EXPECT_GE(loaded.projector->count_tokens(size, {100, std::nullopt}), 100) << type;
    }
  }
}

TEST(WholePictures, YoutuHasAMostButNoLeast) {
  const Loaded loaded("youtuvl");
  EXPECT_LE(loaded.projector->count_tokens({1000, 800}, {std::nullopt, 20}), 20);
  EXPECT_GE(loaded.projector->count_tokens({1000, 800}, {100, std::nullopt}), 100);
  try {
    loaded.projector->count_tokens({5, 5}, {100, std::nullopt});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
  }
}

std::vector<std::string> texts(std::string_view type) {
  std::vector<std::string> all;
  for (const Piece& piece : Loaded(type).projector->preprocess({{noise({40, 30})}}, {}).layout)
    all.push_back(piece.input >= 0 ? "*" : piece.otherwise.empty() ? piece.text : piece.text + "|" + piece.otherwise);
  return all;
}

TEST(WholePictures, StandBetweenTheirMarkers) {
  EXPECT_THAT(texts("dots_ocr"), ElementsAre("<|img|>", "*", "<|endofimg|>"));
  EXPECT_THAT(texts("pixtral"), ElementsAre("*", "[IMG_END]"));
  EXPECT_THAT(texts("kimik25"),
              ElementsAre("<|begin_of_image|>|<|media_begin|>", "*", "<|end_of_image|>|<|media_end|>"));
  EXPECT_THAT(texts("hunyuanvl"), ElementsAre("<｜hy_place▁holder▁no▁100｜>", "*", "<｜hy_place▁holder▁no▁101｜>"));
}

TEST(WholePictures, RowsThatHunyuanAdds) {
  const Loaded loaded("hunyuanvl");
  const Preprocessed pre = loaded.projector->preprocess({{noise({56, 42})}}, {});
  const Input& input = pre.inputs.front();
  EXPECT_EQ(loaded.projector->n_tokens(input), (input.nx + 1) * input.ny + 2);
  const Input* one = &input;
  const std::vector<float> y = encode(loaded, {&one, 1});
  const auto width = static_cast<std::size_t>(loaded.projector->text_width()), nx = static_cast<std::size_t>(input.nx);
  const auto row = [&](std::size_t i) { return std::vector<float>(&y[i * width], &y[i * width] + width); };
  EXPECT_EQ(row(1 + nx), row(1 + nx + nx + 1));  // the end of a row is the same everywhere
  EXPECT_NE(row(1), row(2));
}

TEST(WholePictures, DeepstackWidensTheRows) {
  const Loaded loaded("qwen3vl_merger");  // 12 columns of the last layer, 12 of layer 1
  EXPECT_EQ(loaded.projector->text_width(), 24);
  const Preprocessed pre = loaded.projector->preprocess({{noise({56, 42})}}, {});
  const Input* one = &pre.inputs.front();
  const std::vector<float> y = encode(loaded, {&one, 1});
  for (std::size_t i = 0; i < y.size(); i += 24)
    EXPECT_NE(std::vector<float>(&y[i], &y[i] + 12), std::vector<float>(&y[i] + 12, &y[i] + 24));
}

TEST(WholePictures, TheTrainedPromptsOfReaders) {
  const auto presets = [](std::string_view type) { return Loaded(type).projector->presets(); };
  EXPECT_EQ(presets("paddleocr").ocr_prompt, "OCR:");
  EXPECT_TRUE(presets("lightonocr").picture_alone);
  EXPECT_THAT(presets("dots_ocr").stop, ElementsAre("<|endofassistant|>"));
  EXPECT_NE(presets("glm4v").ocr_prompt, "Text Recognition:");  // GLM-4.1V: a table of positions
  const Loaded glm_ocr(testing::TinyMmproj("glm4v", {.missing = "v.position_embd.weight"}));
  EXPECT_EQ(glm_ocr.projector->presets().ocr_prompt, "Text Recognition:");
}

}  // namespace
}  // namespace mtmd::encoders
