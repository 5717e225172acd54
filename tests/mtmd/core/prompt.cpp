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

}  // namespace
}  // namespace mtmd
