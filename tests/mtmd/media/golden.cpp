// The recorded pixels of the reference decoder (copied from conformance/media, see tests/data/media/inputs/decoded.txt).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "mtmd/media/image_file.h"
#include "mtmd/media/picture_writers.h"

namespace mtmd::media {
namespace {

constexpr const char* folder = MTMD_TEST_DATA "/media/inputs/";

std::string fnv1a64(const std::vector<std::uint8_t>& bytes) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const std::uint8_t b : bytes) h = (h ^ b) * 0x100000001b3;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
  return text;
}

TEST(Golden, PngAndPpmPixelsAreExact) {
  std::ifstream list(std::string(folder) + "decoded.txt");
  std::string line;
  int n = 0;
  while (std::getline(list, line)) {
    if (line.starts_with("#")) continue;
    std::istringstream in(line);
    std::string file, hash;
    int width = 0, height = 0;
    in >> file >> width >> height >> hash;
    const auto got = decode_image(test::read_file(folder + file), file, {.convention = Convention::reference});
    EXPECT_EQ(got.image.size(), (image::Size{width, height})) << file;
    EXPECT_EQ(fnv1a64(got.image.rgb), hash) << file;
    EXPECT_TRUE(got.facts.warnings.empty()) << file;
    ++n;
  }
  EXPECT_EQ(n, 8);
}

TEST(Golden, JpegPixelsAreWithinThreeLevels) {
  for (const std::string file : {"gray.jpg", "small.jpg", "yuv444.jpg", "progressive_exif6.jpg"}) {
    const ImageOptions reference{.convention = Convention::reference};
    const auto got = decode_image(test::read_file(folder + file), file, reference).image;
    const auto want = decode_image(test::read_file(folder + file + ".ppm"), file, reference).image;
    ASSERT_EQ(got.size(), want.size()) << file;
    int worst = 0;
    double sum = 0;
    for (std::size_t i = 0; i < got.rgb.size(); ++i) {
      const int d = std::abs(got.rgb[i] - want.rgb[i]);
      worst = std::max(worst, d);
      sum += d;
    }
    EXPECT_LE(worst, 3) << file;
    EXPECT_LE(sum / static_cast<double>(got.rgb.size()), 0.065) << file;  // "mean 0.06" in the kit; 0.0633 is its worst
  }
}

TEST(Golden, PeopleSeeTheOrientedPicture) {
  const auto file = test::read_file(std::string(folder) + "progressive_exif6.jpg");
  const auto raw = decode_image(file, "x", {.convention = Convention::reference});
  const auto upright = decode_image(file, "x");
  EXPECT_FALSE(raw.facts.orientation_applied);
  EXPECT_TRUE(upright.facts.orientation_applied);
  EXPECT_EQ(upright.facts.orientation, 6);
  EXPECT_EQ(upright.facts.stored, (image::Size{180, 120}));
  EXPECT_EQ(upright.facts.size, (image::Size{120, 180}));
  EXPECT_EQ(upright.image.size(), upright.facts.size);
  // A quarter turn clockwise: the stored bottom left corner is the upright top left one.
  for (int c = 0; c < 3; ++c) EXPECT_EQ(upright.image.rgb[c], raw.image.rgb[3 * 180 * 119 + c]);
}

}  // namespace
}  // namespace mtmd::media
