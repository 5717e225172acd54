#include "mtmd/page/crop.h"

#include <gmock/gmock.h>

namespace mtmd::page {
namespace {

Plane pattern() {
  Plane p(7, 5);
  for (int y = 0; y < 5; ++y)
    for (int x = 0; x < 7; ++x) p.row(y)[x] = std::uint8_t((x * 37 + y * 61 + x * y * 13) % 256);
  return p;
}

// Recorded from Pillow 9.4, which training uses: Image.resize(size, BILINEAR, box).
TEST(Resample, ShrinksAsTrainingDoes) {
  const Plane out = resample(pattern(), 0.5, 0.25, 6.75, 4.5, 4, 3);
  EXPECT_THAT(out.level, testing::Pointwise(testing::FloatNear(1.01F), std::vector<int>{64, 128, 107, 141, 142, 160,
                                                                                        110, 159, 103, 138, 163, 102}));
}

TEST(Resample, EnlargesAsTrainingDoes) {
  const Plane out = resample(pattern(), 1.25, 0, 4, 3.5, 5, 8);
  EXPECT_THAT(
      std::vector<int>(out.level.begin(), out.level.begin() + 10),
      testing::Pointwise(testing::FloatNear(1.01F), std::vector<int>{38, 58, 79, 99, 119, 50, 71, 93, 114, 126}));
}

// Recorded from models/train/lines.py.
TEST(Normalise, BringsPaperAndInkToFixedLevels) {
  Plane p(11, 5, 200);
  const std::vector<std::uint8_t> tail = {190, 60, 50, 205, 120};
  for (std::size_t i = 40; i < 55; ++i) p.level[i] = tail[(i - 40) % 5];
  Plane inverted = p;
  for (auto& v : inverted.level) v = std::uint8_t(255 - v);
  normalise(p);
  normalise(inverted);
  EXPECT_EQ(p.level[0], 230);
  EXPECT_THAT(std::vector<int>(p.level.begin() + 40, p.level.begin() + 45), testing::ElementsAre(214, 15, 0, 237, 107));
  EXPECT_EQ(inverted.level, p.level) << "light text on dark ground is turned round";
}

}  // namespace
}  // namespace mtmd::page
