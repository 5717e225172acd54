// Slices, rows of tiles and clamps: what the table of all types cannot know.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "encoders/projector/loaded.h"
#include "encoders/projector/slices.h"

namespace mtmd::encoders {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace testing;  // NOLINT: mtmd::encoders::testing
using image::Size;

constexpr SliceRule kRule{.side = 112, .align = 14};

/// Sizes recorded in conformance/media/resampler.
TEST(Slices, AsRecorded) {
  const auto check = [](Size picture, Size overview, int columns, int rows, Size slice) {
    const Slices s = choose_slices(picture, kRule);
    EXPECT_EQ(s.overview, overview) << picture.width;
    EXPECT_EQ(s.columns, columns);
    EXPECT_EQ(s.rows, rows);
    if (columns > 0) {
      EXPECT_EQ(s.canvas, (Size{columns * slice.width, rows * slice.height}));
    }
  };
  check({40, 30}, {112, 112}, 0, 0, {});
  check({160, 107}, {140, 98}, 2, 1, {98, 126});
  check({500, 333}, {140, 98}, 4, 2, {98, 126});
  check({1000, 60}, {448, 28}, 6, 1, {182, 70});
}

TEST(Slices, ExtremePicturesStayBounded) {
  const int sides[] = {1, 2, 111, 112, 113, 5000, 65535, 1 << 30, std::numeric_limits<int>::max()};
  for (int w : sides) {
    for (int h : sides) {
      const Slices s = choose_slices({w, h}, kRule);
      const std::int64_t most = 4 * 112 * 112, n = s.columns * s.rows;
      EXPECT_LE(std::int64_t{s.overview.width} * s.overview.height, most) << w << " x " << h;
      EXPECT_LE(n, kRule.most);
      EXPECT_LE(std::int64_t{s.canvas.width} * s.canvas.height, most * n);
      EXPECT_GE(s.overview.width, 14);
      EXPECT_GE(s.overview.height, 14);
      if (n > 0) {
        EXPECT_EQ(s.canvas.width % (14 * s.columns) + s.canvas.height % (14 * s.rows), 0);
      }
    }
  }
}

std::vector<std::string> texts(const Preprocessed& pre) {
  std::vector<std::string> out;
  for (const Piece& piece : pre.layout) out.push_back(piece.input < 0 ? piece.text : std::to_string(piece.input));
  return out;
}

TEST(Resampler, TextsOfItsVersions) {
  for (const int version : {2, 3}) {
    TinyMmproj mmproj("resampler", {});
    mmproj.writer().set("clip.minicpmv_version", version);
    const Loaded loaded(mmproj);
    const auto pre = texts(loaded.projector->preprocess({{noise({30, 90})}}, {}));
    const std::vector<std::string> first = {"<image>", "0", "</image>"};
    ASSERT_GE(pre.size(), 8u);
    EXPECT_EQ(std::vector<std::string>(pre.begin(), pre.begin() + 3), first);
    const std::string all = ::testing::PrintToString(pre);
    EXPECT_EQ(pre[3], "<slice>");
    EXPECT_EQ(pre.back(), "</slice>");
    EXPECT_EQ(pre[4], version == 2 ? "<image>" : "1") << all;
    EXPECT_THAT(pre, ::testing::Contains("\n"));
  }
  TinyMmproj mmproj("resampler", {});
  mmproj.writer().set("clip.minicpmv_version", std::int32_t{7});
  EXPECT_THAT(message_of(mmproj), AllOf(HasSubstr("minicpmv_version is 7"), HasSubstr("tiny.gguf")));
  mmproj.writer().set("clip.minicpmv_version", std::int32_t{6});
  mmproj.writer().set("clip.minicpmv_query_num", std::int32_t{6});  // the file has 5
  EXPECT_THAT(message_of(mmproj), HasSubstr("resampler.query"));
}

TEST(MiniCpmV46, MergesWhereTheFileSays) {
  const auto with = [](std::vector<std::int32_t> layers, std::int32_t scale) {
    TinyMmproj mmproj("minicpmv4_6", {});
    mmproj.writer().set("clip.vision.wa_layer_indexes", std::span<const std::int32_t>(layers));
    mmproj.writer().set("clip.vision.projector.scale_factor", scale);
    return mmproj;
  };
  EXPECT_THAT(message_of(with({2}, 4)), HasSubstr("begins with 2, expected a layer from 0 to 1"));
  EXPECT_THAT(message_of(with({-1}, 4)), HasSubstr("begins with -1"));
  EXPECT_THAT(message_of(with({}, 4)), HasSubstr("begins with nothing"));
  EXPECT_THAT(message_of(with({0}, 3)), HasSubstr("scale_factor is 3"));
  const Loaded four(with({1}, 4)), two(with({7}, 2));  // the list serves only the merger inside
  EXPECT_EQ(four.projector->count_tokens({28, 28}, {}), 1);
  EXPECT_EQ(two.projector->count_tokens({28, 28}, {}), 4);
  const Preprocessed pre = two.projector->preprocess({{noise({28, 28})}}, {});
  const Input* one = &pre.inputs.front();
  EXPECT_EQ(encode(two, {&one, 1}).size(), 4u * 12u);
}

/// A picture of 2 x 1 tiles: one input that holds both, tokens row by row across them.
TEST(DeepseekOcr, TilesOfARowShareAnInput) {
  const Loaded loaded("deepseekocr");  // overview 224, tiles 140, 28 pixels per token
  const Preprocessed pre = loaded.projector->preprocess({{noise({400, 200})}}, {});
  ASSERT_EQ(pre.inputs.size(), 2u);
  const Input& tiles = pre.inputs[0];
  EXPECT_EQ(tiles.frames[0].width, 140);
  EXPECT_EQ(tiles.frames[0].height, 280);
  EXPECT_EQ(loaded.projector->n_tokens(tiles), 5 * (2 * 5 + 1));
  EXPECT_EQ(loaded.projector->n_tokens(pre.inputs[1]), 8 * (8 + 1) + 1);
  EXPECT_EQ(loaded.projector->count_tokens({400, 200}, {}), 55 + 73);
  EXPECT_EQ(loaded.projector->count_tokens({140, 100}, {}), 73);
  EXPECT_EQ(pre.layout.back().text, "\n");

  // Each tile means the same alone: they neither see each other nor change places.
  const Input* both = &tiles;
  const std::vector<float> row = encode(loaded, {&both, 1});
  for (int part = 0; part < 2; ++part) {
    Input single = tiles;
    image::Planes& frame = single.frames[0];
    const auto half = static_cast<std::ptrdiff_t>(frame.rgb.size() / 2);
    frame.rgb = {frame.rgb.begin() + part * half, frame.rgb.begin() + (part + 1) * half};
    frame.height = 140, single.nx = 5;
    const Input* one = &single;
    const std::vector<float> alone = encode(loaded, {&one, 1});
    for (int r = 0; r < 5; ++r) {
      const auto* in_row = &row[static_cast<std::size_t>((r * 11 + part * 5) * 12)];
      const auto* own = &alone[static_cast<std::size_t>(r * 6 * 12)];
      for (int i = 0; i < 5 * 12; ++i) EXPECT_NEAR(in_row[i], own[i], 1e-4f) << "part " << part << ", row " << r;
    }
  }
}

TEST(DeepseekOcr, FollowsTheReferenceOnlyInTiles) {
  const Loaded trained("deepseekocr"), recorded("deepseekocr");
  recorded.projector->follow_reference();
  const Preprocessed pre = trained.projector->preprocess({{noise({400, 200})}}, {});
  const Input *tiles = &pre.inputs[0], *overview = &pre.inputs[1];
  EXPECT_EQ(encode(trained, {&overview, 1}), encode(recorded, {&overview, 1}));
  EXPECT_GT(relative_l2(encode(trained, {&tiles, 1}), encode(recorded, {&tiles, 1})), 1e-3);
}

TEST(DeepseekOcr, SizesThatMakeNoWholeTokens) {
  for (const std::int32_t size : {28, 112, 220, 4095}) {
    TinyMmproj mmproj("deepseekocr", {});
    mmproj.writer().set("clip.vision.image_size", size);
    EXPECT_THAT(message_of(mmproj), AllOf(HasSubstr("clip.vision.image_size"), HasSubstr(std::to_string(size))));
  }
  TinyMmproj mmproj("deepseekocr", {});
  mmproj.writer().set("clip.vision.preproc_max_tiles", std::int32_t{64});  // 64 * 140 * 140 pixels: bearable
  EXPECT_EQ(message_of(mmproj), "");
  mmproj.writer().set("clip.vision.image_size", std::int32_t{2240});
  EXPECT_THAT(message_of(mmproj), HasSubstr("preproc_max_tiles 64"));
  mmproj.writer().set("clip.vision.image_size", std::int32_t{224});
  mmproj.writer().set("clip.vision.sam.head_count", std::int32_t{5});
  EXPECT_THAT(message_of(mmproj), HasSubstr("no multiple of clip.vision.sam.head_count 5"));
}

TEST(Gemma4, PicturesStayWithinTheTablesOfPositions) {
  for (const char* type : {"gemma4v", "gemma4uv"}) {
    const Loaded loaded(type);
    for (const Size size : {Size{65535, 1}, {1, 65535}, {3000, 2}}) {
      const Preprocessed pre = loaded.projector->preprocess({{noise(size)}}, {std::nullopt, 2000});
      const Input* one = &pre.inputs.front();
      EXPECT_LE(std::max(one->nx, one->ny), 300) << type;
      EXPECT_FALSE(encode(loaded, {&one, 1}).empty());
    }
    EXPECT_TRUE(loaded.projector->non_causal());
  }
}

TEST(Gemma4, ClampsMustBeRanges) {
  const auto with = [](const char* name, float value) {
    TinyMmproj mmproj("gemma4v", {.missing = name});
    mmproj.tensor(std::string(name) + ".unused", {1}, 0.0f, 0.0f);
    const std::vector<float> values = {value};
    mmproj.writer().add_tensor(name, DType::F32, {1}, std::as_bytes(std::span(values)));
    return message_of(mmproj);
  };
  EXPECT_EQ(with("v.blk.0.attn_q.input_max", 0.5f), "");
  EXPECT_THAT(with("v.blk.0.attn_q.input_max", -9.0f), AllOf(HasSubstr("attn_q.input_max -9"), HasSubstr("no range")));
  EXPECT_THAT(with("v.blk.1.ffn_up.output_min", std::numeric_limits<float>::quiet_NaN()), HasSubstr("ffn_up.output"));
}

}  // namespace
}  // namespace mtmd::encoders
