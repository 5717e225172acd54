// Pictures on black and values scaled after normalisation: what Step3-VL's preprocessing adds to the filters.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "encoders/image/resize.h"

namespace mtmd::image {
namespace {

Image noise(Size size, std::uint32_t seed = 1) {
  Image image{size.width, size.height, std::vector<std::uint8_t>(std::size_t{3} * size.width * size.height)};
  for (std::uint8_t& v : image.rgb) v = static_cast<std::uint8_t>((seed = seed * 1664525 + 1013904223) >> 24);
  return image;
}

/// `source` in the top left of a black canvas that is really there.
Image on_black(const Image& source, Size extent) {
  Image out{extent.width, extent.height, std::vector<std::uint8_t>(std::size_t{3} * extent.width * extent.height)};
  for (int y = 0; y < source.height; ++y) {
    std::copy_n(&source.rgb[static_cast<std::size_t>(3 * y * source.width)], 3 * source.width,
                &out.rgb[static_cast<std::size_t>(3 * y * extent.width)]);
  }
  return out;
}

TEST(OnBlack, EqualsAResizedBlackCanvas) {
  for (const Size source : {Size{100, 7}, {7, 100}, {130, 1}, {1, 1}, {50, 50}}) {
    const int longer = std::max(source.width, source.height);
    for (const Size extent : {Size{longer, longer}, {longer + 9, longer + 3}}) {
      for (const Size size : {Size{31, 31}, {1, 1}, {200, 90}, extent}) {
        const Image picture = noise(source);
        EXPECT_EQ(resize_on_black(picture, extent, size).rgb,
                  resize(on_black(picture, extent), size, Filter::bilinear).rgb)
            << source.width << " x " << source.height << " to " << size.width << " x " << size.height;
      }
    }
  }
}

TEST(OnBlack, AHugeExtentCostsNothing) {
  const Image strip = noise({65535, 1});
  const Image small = resize_on_black(strip, {65535, 65535}, {300, 300});  // 12.9 GB if it were there
  EXPECT_EQ(small.rgb[0], strip.rgb[0]);
  EXPECT_TRUE(std::all_of(small.rgb.begin() + 900, small.rgb.end(), [](std::uint8_t v) { return v == 0; }));
}

TEST(Crop, IsBlackBeyondThePicture) {
  const Image picture = noise({5, 4});
  const Image cut = crop(picture, 3, 2, {4, 3});
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 4; ++x) {
      for (int c = 0; c < 3; ++c) {
        const bool inside = x < 2 && y < 2;
        EXPECT_EQ(cut.rgb[static_cast<std::size_t>(3 * (4 * y + x) + c)],
                  inside ? picture.rgb[static_cast<std::size_t>(3 * (5 * (y + 2) + x + 3) + c)] : 0);
      }
    }
  }
}

constexpr std::array<float, 3> kMean = {0.5f, 0.4f, 0.3f}, kStd = {0.25f, 0.3f, 0.5f};

TEST(Stretched, TheSameSizeIsNormalisationAlone) {
  const Image picture = noise({13, 9});
  EXPECT_EQ(normalize_stretched(picture, {13, 9}, kMean, kStd).rgb, normalize(picture, kMean, kStd).rgb);
}

TEST(Stretched, FollowsItsFormula) {
  const Image picture = noise({11, 6});
  const std::vector<float> values = normalize(picture, kMean, kStd).rgb;
  for (const Size size : {Size{23, 4}, {3, 17}, {1, 1}, {50, 50}}) {
    const Planes got = normalize_stretched(picture, size, kMean, kStd);
    ASSERT_EQ(got.width, size.width);
    ASSERT_EQ(got.rgb.size(), std::size_t{3} * size.width * size.height);
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        const double at_x = (x + 0.5) * 11 / size.width - 0.5, at_y = (y + 0.5) * 6 / size.height - 0.5;
        const int left = static_cast<int>(std::floor(at_x)), top = static_cast<int>(std::floor(at_y));
        for (int c = 0; c < 3; ++c) {
          double want = 0;
          for (int i = 0; i < 4; ++i) {
            const int column = std::clamp(left + i % 2, 0, 10), row = std::clamp(top + i / 2, 0, 5);
            const double wx = i % 2 == 1 ? at_x - left : 1 - (at_x - left);
            const double wy = i / 2 == 1 ? at_y - top : 1 - (at_y - top);
            want += wx * wy * values[static_cast<std::size_t>(3 * (11 * row + column) + c)];
          }
          EXPECT_NEAR(got.rgb[static_cast<std::size_t>(3 * (size.width * y + x) + c)], want, 2e-5);
        }
      }
    }
  }
}

}  // namespace
}  // namespace mtmd::image
