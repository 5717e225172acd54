#include "mtmd/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace mtmd {
namespace {

using ::testing::ElementsAre;

Media picture(std::string id) { return {{1, 1, {0, 0, 0}}, std::move(id), "", false}; }

/// "t:TEXT" and "m:ID" in order.
std::vector<std::string> order(const Prompt& p) {
  std::vector<std::string> all;
  for (const auto& part : p.parts())
    all.push_back(part.media < 0 ? "t:" + part.text : "m:" + p.media()[static_cast<std::size_t>(part.media)].id);
  return all;
}

TEST(Prompt, MarkersTakeMediaInOrder) {
  EXPECT_THAT(order(Prompt::marked("a<__media__>b<__media__>", {picture("1"), picture("2")})),
              ElementsAre("t:a", "m:1", "t:b", "m:2"));
}

TEST(Prompt, MediaWithoutAMarkerGoInFront) {
  EXPECT_THAT(order(Prompt::marked("a<__media__>b", {picture("1"), picture("2"), picture("3")})),
              ElementsAre("m:1", "m:2", "t:a", "m:3", "t:b"));
  EXPECT_THAT(order(Prompt::marked("a", {picture("1")})), ElementsAre("m:1", "t:a"));
}

TEST(Prompt, MoreMarkersThanMediaIsAUsageError) {
  try {
    Prompt::marked("<__media__><__media__>", {picture("1")});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("2"));
  }
}

TEST(Chunk, GridPositionsFollowRowsAndColumns) {
  Chunk c;
  c.input = 0, c.n_tokens = 6, c.nx = 3, c.ny = 2, c.pos_start = 10;
  c.kind = encoders::PositionKind::grid;
  const auto p = c.positions();
  EXPECT_EQ(p[0].t, 10);
  EXPECT_EQ(p[5].t, 10);
  EXPECT_EQ(p[5].y, 11);
  EXPECT_EQ(p[5].x, 12);
  c.ny = 1, c.nx = 6;  // one row: still a grid
  EXPECT_EQ(c.positions()[5].t, 10);
  EXPECT_EQ(c.positions()[5].x, 15);
}

TEST(Chunk, ReadingPositionsCountTokensColumnsRowsAndPictures) {  // as recorded for HunyuanOCR
  Chunk c;
  c.input = 0, c.n_tokens = 8, c.nx = 2, c.ny = 2, c.pos_start = 10, c.picture = 3;  // begin, 2 x (2 + break), end
  c.kind = encoders::PositionKind::reading;
  const auto is = [](const Position& p, int t, int y, int x, int z) {
    return p.t == t && p.y == y && p.x == x && p.z == z;
  };
  const auto p = c.positions();
  EXPECT_TRUE(is(p[0], 10, 10, 10, 10));
  EXPECT_TRUE(is(p[1], 11, 0, 0, 3));
  EXPECT_TRUE(is(p[3], 13, 2, 0, 3));
  EXPECT_TRUE(is(p[4], 14, 0, 1, 3));
  EXPECT_TRUE(is(p[6], 16, 2, 1, 3));
  EXPECT_TRUE(is(p[7], 17, 17, 17, 17));
}

/// A projector of one input of 2 x 3 tokens between a marker that may not exist and one that does.
class Stub final : public encoders::Projector {
 public:
  explicit Stub(encoders::PositionKind kind) : kind_(kind) {}
  std::string_view type() const noexcept override { return "stub"; }
  int text_width() const noexcept override { return 1; }
  int count_tokens(image::Size, const encoders::ImageLimits&) const override { return 6; }
  encoders::Preprocessed preprocess(std::span<const image::Image>, const encoders::ImageLimits&) const override {
    encoders::Preprocessed p;
    p.inputs = {{{image::Planes{}}, 2, 3}};
    p.layout = {{"<|no such token|>", -1, "<|begin_of_image|>"}, {"", 0}, {"<|end_of_image|>", -1, "<|media_begin|>"}};
    return p;
  }
  int n_tokens(const encoders::Input&) const override { return 6; }
  Tensor encode(std::span<const encoders::Input* const>, Workspace&) const override { return {}; }
  encoders::PositionKind positions() const noexcept override { return kind_; }

 private:
  encoders::PositionKind kind_;
};

Chunks chunks_with(encoders::PositionKind kind, bool mrope) {
  static const auto file = gguf::File::open(MTMD_TEST_DATA "/media/qwen2vl_merger/model.gguf");
  static const auto tokenizer = Tokenizer::load(file.metadata());
  Prompt prompt;
  prompt.image(picture("1")).image(picture("2"));
  const Stub stub(kind);
  return build_chunks(prompt, *tokenizer, &stub, {.mrope = mrope, .add_special = false, .limits = {}});
}

TEST(Chunks, AMarkerThatTheVocabularyLacksIsReplaced) {
  static const auto file = gguf::File::open(MTMD_TEST_DATA "/media/qwen2vl_merger/model.gguf");
  const auto tokenizer = Tokenizer::load(file.metadata());
  const Chunks chunks = chunks_with(encoders::PositionKind::sequential, true);
  ASSERT_EQ(chunks.list.size(), 5u);
  EXPECT_THAT(chunks.list[0].tokens, ElementsAre(tokenizer->find("<|begin_of_image|>")));
  EXPECT_THAT(chunks.list[4].tokens, ElementsAre(tokenizer->find("<|end_of_image|>")));
}

TEST(Chunks, KindsOfPositions) {
  using encoders::PositionKind;
  const auto shape = [](PositionKind kind, bool mrope) {
    const Chunk c = chunks_with(kind, mrope).list.at(3);  // the second picture
    return std::array{c.nx, c.ny, c.n_pos, c.picture};
  };
  EXPECT_THAT(shape(PositionKind::grid, true), ElementsAre(2, 3, 3, 1));
  EXPECT_THAT(shape(PositionKind::row, true), ElementsAre(6, 1, 6, 1));
  EXPECT_THAT(shape(PositionKind::reading, true), ElementsAre(2, 3, 6, 1));
  EXPECT_THAT(shape(PositionKind::row, false), ElementsAre(6, 1, 6, 1));
  const auto positions = chunks_with(PositionKind::row, false).list.at(1).positions();
  EXPECT_EQ(positions[5].t, positions[0].t + 5);  // one by one without M-RoPE
}

}  // namespace
}  // namespace mtmd
