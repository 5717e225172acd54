// How LFM2-VL, Step3-VL, Llama 4 and CogVLM cut pictures, from their published rules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "encoders/projector/loaded.h"

namespace mtmd::encoders {
namespace {

using namespace testing;  // NOLINT: mtmd::encoders::testing

/// The layout in one line: texts as they are, inputs as "(columns x rows)".
std::string layout(const Loaded& loaded, image::Size size, const ImageLimits& limits = {}) {
  const Preprocessed pre = loaded.projector->preprocess({{noise(size)}}, limits);
  std::string line;
  for (const Piece& piece : pre.layout) {
    if (piece.input < 0) {
      line += piece.text;
    } else {
      const Input& input = pre.inputs[static_cast<std::size_t>(piece.input)];
      line += "(" + std::to_string(input.nx) + "x" + std::to_string(input.ny) + ")";
    }
  }
  return line;
}

/// Tokens of 32 pixels a side, as LFM2-VL's own.
Loaded lfm2() { return Loaded("lfm2", {.image_size = 64, .patch_size = 16}); }

TEST(Lfm2, OnePieceUpToTwiceItsMostPixels) {
  const Loaded loaded = lfm2();
  EXPECT_EQ(layout(loaded, {512, 320}), "<|image_start|>(16x10)<|image_end|>");
  EXPECT_EQ(layout(loaded, {40, 30}), "<|image_start|>(10x7)<|image_end|>");      // enlarged to 64 tokens
  EXPECT_EQ(layout(loaded, {1024, 512}), "<|image_start|>(22x11)<|image_end|>");  // exactly twice
}

TEST(Lfm2, LargerOnesInTilesWithAnOverview) {
  const Loaded loaded = lfm2();
  EXPECT_EQ(layout(loaded, {1100, 540}),
            "<|image_start|><|img_row_1_col_1|>(16x16)<|img_row_1_col_2|>(16x16)<|img_thumbnail|>(22x11)<|image_end|>");
  // 0.43 wide: 2 x 5 tiles are 0.4, 1 x 2 are 0.5, and 3 x 7 would be too many.
  EXPECT_THAT(layout(loaded, {900, 2100}), ::testing::HasSubstr("<|img_row_5_col_2|>(16x16)<|img_thumbnail|>(10x24)"));
  // Of equal shapes the larger grid, if the picture fills more than half of it: 2 x 2 at 1100 pixels, 3 x 3 at 1200.
  EXPECT_EQ(loaded.projector->count_tokens({1000, 1000}, {}), 4 * 256 + 256);
  EXPECT_EQ(loaded.projector->count_tokens({1200, 1200}, {}), 9 * 256 + 256);
}

TEST(Lfm2, TheUsersMostHoldsForTilesAndOverviewTogether) {
  const Loaded loaded = lfm2();
  for (const int most : {8, 64, 200, 256, 700, 768, 1000, 2000, 4000}) {
    for (const image::Size size : {image::Size{5000, 4000}, {1100, 540}, {300, 9000}, {40, 30}, {20000, 20000}}) {
      const int n = loaded.projector->count_tokens(size, {std::nullopt, most});
      EXPECT_LE(n, most) << size.width << " x " << size.height;
      EXPECT_GE(n, 1);
    }
  }
  EXPECT_EQ(loaded.projector->count_tokens({1100, 540}, {std::nullopt, 754}), 34 * 17);  // 2 x 256 + 256 do not fit
  EXPECT_EQ(loaded.projector->count_tokens({1100, 540}, {std::nullopt, 768}), 2 * 256 + 242);
  EXPECT_THROW(loaded.projector->count_tokens({5000, 4000}, {9, 8}), Error);
  EXPECT_THROW(loaded.projector->count_tokens({5000, 4000}, {std::nullopt, 0}), Error);
}

/// The longest side of Step3-VL's own; 28 pixels a patch: 5 x 5 tokens per window.
Loaded step3vl() {
  TinyMmproj mmproj("step3vl", {});
  mmproj.set("preproc_image_size", 3024);
  return Loaded(mmproj);
}

TEST(Step3Vl, WindowsRowByRowThenTheOverview) {
  const Loaded loaded = step3vl();
  EXPECT_EQ(layout(loaded, {28, 20}), "<im_start>(1x1)<im_end>");
  EXPECT_EQ(layout(loaded, {1008, 1000}),
            "<patch_start>(5x5)<patch_end><patch_start>(5x5)<patch_end><patch_newline>"
            "<patch_start>(5x5)<patch_end><patch_start>(5x5)<patch_end><im_start>(1x1)<im_end>");
}

TEST(Step3Vl, WindowsFollowThePublishedRule) {
  const Loaded loaded = step3vl();
  const auto windows = [&](image::Size size) { return (loaded.projector->count_tokens(size, {}) - 1) / 25; };
  EXPECT_EQ(windows({28, 28}), 0);
  EXPECT_EQ(windows({28, 17}), 2);    // oblong, no larger than the overview: windows of the shorter side
  EXPECT_EQ(windows({100, 100}), 1);  // beyond the overview
  EXPECT_EQ(windows({504, 504}), 1);
  EXPECT_EQ(windows({600, 504}), 1);  // a fifth of a window more is not worth one
  EXPECT_EQ(windows({610, 504}), 2);
  EXPECT_EQ(windows({3024, 3024}), 36);
  EXPECT_EQ(windows({20000, 20000}), 36);
  EXPECT_EQ(windows({2000, 400}), 5);  // a strip: windows of its shorter side
  EXPECT_EQ(windows({100, 20}), 1);    // a thin one: on a square
  EXPECT_EQ(windows({3000, 100}), 30);
  EXPECT_EQ(windows({65535, 1}), 36);   // a square of 3024 pixels
  EXPECT_EQ(windows({65535, 40}), 48);  // ours: not 3024 windows of one pixel
}

TEST(Step3Vl, ThinStripsStandAtTheTop) {
  const Loaded loaded = step3vl();
  const Preprocessed pre = loaded.projector->preprocess({{noise({500, 10})}}, {});
  const image::Planes& window = pre.inputs.front().frames.front();  // the square of 500 pixels as 504
  const float black = (0.0f - 0.5f) / 0.5f;
  EXPECT_EQ(window.width, 504);
  EXPECT_NE(window.rgb[3 * 504 * 5], black);
  EXPECT_TRUE(std::all_of(window.rgb.begin() + 3 * 504 * 12, window.rgb.end(), [&](float v) { return v == black; }));
}

TEST(Llama4, TilesOnlyWhenASideExceedsOne) {
  const Loaded loaded("llama4");
  EXPECT_EQ(layout(loaded, {28, 28}), "<|image_start|>(2x2)<|image_end|>");
  EXPECT_EQ(layout(loaded, {56, 28}), "<|image_start|>(2x2)(2x2)(2x2)<|image_end|>");
  EXPECT_EQ(loaded.projector->count_tokens({5000, 5000}, {}), 10 * 4);
}

TEST(CogVlm, TilesAreOfTheFilesChoice) {
  EXPECT_EQ(layout(Loaded("cogvlm"), {56, 28}), "(4x4)(4x4)(4x4)");
  EXPECT_EQ(Loaded("cogvlm").projector->count_tokens({56, 28}, {}), 3 * 18);
  TinyMmproj odd("cogvlm", {});
  const std::vector<std::int32_t> half_a_tile = {28, 42};
  odd.writer().set("clip.vision.image_grid_pinpoints", std::span<const std::int32_t>(half_a_tile));
  EXPECT_THAT(message_of(odd), ::testing::HasSubstr("holds 28 x 42, expected multiples of clip.vision.image_size 28"));
}

}  // namespace
}  // namespace mtmd::encoders
