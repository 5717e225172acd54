// Pictures that are no page at all: an answer in bounded time, no crash.
#include <gtest/gtest.h>

#include <chrono>

#include "mtmd/page/page.h"
#include "paper.h"

namespace mtmd::page {
namespace {

image::Image flat(int width, int height, std::uint8_t level) {
  return {width, height, std::vector<std::uint8_t>(std::size_t(3) * std::size_t(width) * std::size_t(height), level)};
}

TEST(Odd, NothingToRead) {
  for (const auto& [w, h] : {std::pair{0, 0}, {1, 1}, {2, 2}, {3, 6}, {1, 3000}, {30000, 2}, {2, 30000}, {640, 480}})
    for (const int level : {0, 128, 255})
      EXPECT_TRUE(find_lines(flat(w, h, std::uint8_t(level))).lines.empty()) << w << "x" << h;
}

TEST(Odd, ALongStrip) {
  image::Image strip = flat(30000, 12, 255);
  for (std::size_t i = 0; i < strip.rgb.size(); i += 7) strip.rgb[i] = 0;
  for (const auto& line : find_lines(strip).lines)
    for (const auto& s : line.segments) EXPECT_LE(s.crop.width, 320);
}

TEST(Odd, PureNoise) {
  Paper paper(1500, 1500, {128, 128, 128});
  paper.noise(60);
  const auto begin = std::chrono::steady_clock::now();
  const Page page = find_lines(paper.image);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
  EXPECT_LT(page.lines.size(), 2000u);
}

TEST(Odd, CheckerBoard) {
  image::Image board = flat(900, 900, 255);
  for (int y = 0; y < 900; ++y)
    for (int x = 0; x < 900; ++x)
      if ((x / 3 + y / 3) % 2) std::fill_n(&board.rgb[std::size_t(3) * std::size_t(y * 900 + x)], 3, std::uint8_t(0));
  find_lines(board);
}

TEST(Odd, HugePagesAreShrunkAndGiveBoxesOfTheOriginal) {
  Paper paper(6000, 4000);
  for (int i = 0; i < 10; ++i) paper.write(300, 300 + 350 * i, "Hello Epn Hop lneo", 20);
  const Page page = find_lines(paper.image);
  EXPECT_GT(page.scale, 1);
  ASSERT_EQ(page.lines.size(), 10u);
  EXPECT_NEAR(page.lines[9].box.y, 300 + 350 * 9, 20);
}

}  // namespace
}  // namespace mtmd::page
