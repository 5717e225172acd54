#include <gmock/gmock.h>

#include <cmath>

#include "mtmd/page/page.h"
#include "paper.h"

namespace mtmd::page {
namespace {

constexpr std::string_view kWords = "Hello Epn Hop lneo";

/// Rows of text at the given pitch.
Paper letter_page(int rows, int pitch = 40) {
  Paper paper(700, 60 + rows * pitch);
  for (int i = 0; i < rows; ++i) paper.write(40, 40 + i * pitch, kWords);
  return paper;
}

void expect_well_formed(const Page& page, const LineFormat& format = {}) {
  for (const auto& line : page.lines) {
    ASSERT_FALSE(line.segments.empty());
    for (const auto& s : line.segments) {
      EXPECT_EQ(s.crop.height, format.height);
      EXPECT_GE(s.crop.width, format.min_width);
      EXPECT_LE(s.crop.width, format.max_width);
      EXPECT_EQ(s.crop.width % format.step, 0);
      EXPECT_EQ(s.crop.rgb.size(), std::size_t(3 * s.crop.width * s.crop.height));
    }
  }
}

/// Share of dark pixels in the middle rows of a crop.
double ink_of(const image::Image& crop) {
  int dark = 0;
  for (const auto v : crop.rgb) dark += v < 115;
  return double(dark) / double(crop.rgb.size());
}

TEST(Lines, OneLine) {
  Paper paper(460, 40);
  const int right = paper.write(20, 10, kWords);
  const Page page = find_lines(paper.image);
  ASSERT_EQ(page.lines.size(), 1u);
  expect_well_formed(page);
  EXPECT_EQ(page.lines[0].box.x, 20);
  EXPECT_NEAR(page.lines[0].box.right(), right, 2);
  EXPECT_EQ(page.lines[0].box.y, 10);
  EXPECT_FALSE(page.lines[0].gap_before);
}

TEST(Lines, ManyRowsFromTopToBottom) {
  const Page page = find_lines(letter_page(30).image);
  ASSERT_EQ(page.lines.size(), 30u);
  expect_well_formed(page);
  for (std::size_t i = 0; i < 30; ++i) EXPECT_NEAR(page.lines[i].box.y, 40 + 40 * int(i), 2);
}

TEST(Lines, LongLinesAreCutAtWordGaps) {
  Paper paper(2400, 60);
  std::string text;
  while (text.size() < 180) text += "Hello pon ";
  paper.write(10, 20, text);
  const Page page = find_lines(paper.image);
  ASSERT_EQ(page.lines.size(), 1u);
  expect_well_formed(page);
  const auto& segments = page.lines[0].segments;
  EXPECT_GT(segments.size(), 4u);
  for (std::size_t i = 1; i < segments.size(); ++i) {
    EXPECT_TRUE(segments[i].space_before);
    EXPECT_GT(segments[i].box.x, segments[i - 1].box.right() + 8) << "a gap between words is at least 12 pixels here";
  }
}

TEST(Lines, AWordWiderThanTheModelIsCutWithoutASpace) {
  Paper paper(1400, 60);
  paper.write(10, 20, std::string(100, 'n'));
  const Page page = find_lines(paper.image);
  ASSERT_EQ(page.lines.size(), 1u);
  expect_well_formed(page);
  ASSERT_GT(page.lines[0].segments.size(), 1u);
  EXPECT_FALSE(page.lines[0].segments[1].space_before);
}

TEST(Lines, TwoColumnsOneAfterTheOther) {
  Paper paper(900, 560);
  for (int i = 0; i < 12; ++i) {
    paper.write(30, 80 + 38 * i, "Hello Epn Hop lneo Heo oppl non");
    paper.write(490, 80 + 38 * i, "Epn Hop lneo Hello Heo oppl non");
  }
  paper.write(30, 20, "Hello over Hopp both lneo", 3);
  const Page page = find_lines(paper.image);
  ASSERT_EQ(page.lines.size(), 25u);
  EXPECT_LT(page.lines[0].box.y, 40) << "the title comes first";
  for (std::size_t i = 1; i <= 12; ++i) EXPECT_LT(page.lines[i].box.x, 100);
  for (std::size_t i = 13; i <= 24; ++i) EXPECT_GT(page.lines[i].box.x, 400);
  EXPECT_TRUE(page.lines[13].gap_before);
}

TEST(Lines, AmountsOfAReceiptStayOnTheirLine) {
  Paper paper(560, 420);
  for (int i = 0; i < 10; ++i) {
    paper.write(30, 30 + 38 * i, i % 2 ? "Hello Epn" : "Hop lneo Hello");
    paper.write(470, 30 + 38 * i, "EE.En");
  }
  const Page page = find_lines(paper.image);
  ASSERT_EQ(page.lines.size(), 10u);
  for (const auto& line : page.lines) ASSERT_EQ(line.segments.size(), 2u);
}

TEST(Lines, EmptyLinesAreNoticed) {
  Paper paper(500, 300);
  for (const int y : {20, 58, 96, 190, 228}) paper.write(30, y, kWords);
  const Page page = find_lines(paper.image);
  ASSERT_EQ(page.lines.size(), 5u);
  EXPECT_THAT(std::vector<bool>({page.lines[1].gap_before, page.lines[2].gap_before, page.lines[3].gap_before,
                                 page.lines[4].gap_before}),
              testing::ElementsAre(false, false, true, false));
  const std::vector<std::string> texts = [&] {
    std::vector<std::string> t;
    for (const auto& line : page.lines)
      for (std::size_t s = 0; s < line.segments.size(); ++s) t.push_back(s == 0 ? "a" : "b");
    return t;
  }();
  EXPECT_THAT(join(page, texts), testing::HasSubstr("\n\na"));
}

class Slope : public testing::TestWithParam<double> {};

TEST_P(Slope, TiltedPagesAreStraightened) {
  Paper paper = letter_page(12);
  paper.shear(GetParam());
  const Page page = find_lines(paper.image);
  EXPECT_EQ(page.lines.size(), 12u);
  EXPECT_NEAR(std::tan(page.skew_degrees * 3.14159265 / 180), GetParam(), 0.006);
}
INSTANTIATE_TEST_SUITE_P(Pages, Slope, testing::Values(-0.08, -0.03, 0.0, 0.02, 0.07));

TEST(Lines, PaperAndInkOfAnyColour) {
  const std::pair<Colour, Colour> pairs[] = {{{250, 250, 250}, {0, 0, 0}},
                                             {{200, 230, 160}, {90, 30, 60}},
                                             {{30, 30, 60}, {230, 220, 240}},
                                             {{0, 0, 0}, {255, 255, 255}},
                                             {{120, 120, 120}, {60, 60, 60}}};
  for (const auto& [paper_colour, ink] : pairs) {
    Paper paper(500, 240, paper_colour, ink);
    for (int i = 0; i < 5; ++i) paper.write(30, 20 + 40 * i, kWords);
    const Page page = find_lines(paper.image);
    ASSERT_EQ(page.lines.size(), 5u) << int(paper_colour.r);
    for (const auto& line : page.lines)
      for (const auto& s : line.segments) {
        EXPECT_GT(s.crop.rgb[0], 200) << "light paper";
        EXPECT_GT(ink_of(s.crop), 0.03);
        EXPECT_LT(ink_of(s.crop), 0.45);
      }
  }
}

TEST(Lines, LightTextInADarkBar) {
  Paper paper(560, 300);
  paper.box(0, 20, 560, 64);
  Paper bar(560, 44, {20, 20, 20}, {240, 240, 240});
  bar.write(30, 14, kWords);
  std::copy(bar.image.rgb.begin(), bar.image.rgb.end(), paper.image.rgb.begin() + 3 * 560 * 20);
  for (int i = 0; i < 4; ++i) paper.write(30, 100 + 40 * i, kWords);
  EXPECT_EQ(find_lines(paper.image).lines.size(), 5u);
}

TEST(Lines, NoiseAndRules) {
  Paper paper = letter_page(8);
  for (int i = 0; i < 8; ++i) paper.box(20, 64 + 40 * i, 680, 65 + 40 * i);
  paper.box(30, 20, 32, 370);
  paper.noise(12);
  const Page page = find_lines(paper.image);
  ASSERT_EQ(page.lines.size(), 8u);
  for (const auto& line : page.lines) EXPECT_LT(line.box.height, 24) << "the rule is not part of the line";
}

}  // namespace
}  // namespace mtmd::page
