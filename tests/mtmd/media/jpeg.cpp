#include <gtest/gtest.h>

#include <cmath>

#include "engine/base/error.h"
#include "mtmd/media/image_file.h"
#include "mtmd/media/picture_writers.h"

namespace mtmd::media {
namespace {

using test::Bytes, test::JpegSpec;

/// Smooth colours, which JPEG keeps within a few levels; channel c of pixel (x, y).
std::uint8_t smooth(int x, int y, int c) {
  return static_cast<std::uint8_t>(128 + 100 * std::sin(0.05 * (x * (c + 1) + y * 2) + c));
}

JpegSpec smooth_jpeg(int width, int height, int n_channels) {
  JpegSpec s{.width = width, .height = height, .n_channels = n_channels};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < n_channels; ++c) s.samples.push_back(smooth(x, y, c));
  return s;
}

template <class Want>
void expect_near(const DecodedImage& got, int width, int height, double tolerance, Want&& want, const char* what) {
  ASSERT_EQ(got.image.size(), (image::Size{width, height})) << what;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        ASSERT_NEAR(got.image.rgb[3 * (y * width + x) + c], want(x, y, c), tolerance) << what << " " << x << "," << y;
}

TEST(Jpeg, ColourAndGreyBaselineAndProgressive) {
  for (const bool progressive : {false, true}) {
    for (const auto& [w, h] : {std::pair{61, 35}, {1, 1}, {8, 8}, {17, 1}}) {
      JpegSpec rgb = smooth_jpeg(w, h, 3), grey = smooth_jpeg(w, h, 1);
      rgb.progressive = grey.progressive = progressive;
      expect_near(decode_image(test::write_jpeg(rgb), "c.jpg"), w, h, 16, smooth, "colour");
      expect_near(
          decode_image(test::write_jpeg(grey), "g.jpg"), w, h, 4, [](int x, int y, int) { return smooth(x, y, 0); },
          "grey");
    }
  }
}

TEST(Jpeg, CmykAndYcckWithAndWithoutAdobeInversion) {
  for (const bool adobe : {false, true}) {
    for (const bool ycck : {false, true}) {
      JpegSpec s = smooth_jpeg(40, 24, 4);
      s.adobe_marker = adobe;
      s.ycck = ycck;
      s.quality = 100;
      if (ycck && !adobe) continue;  // without the marker nobody can know that it is YCCK
      const auto ink = [&](int x, int y, int c) { return (adobe ? 255 - smooth(x, y, c) : smooth(x, y, c)) / 255.0; };
      const auto want = [&](int x, int y, int c) { return 255 * (1 - ink(x, y, c)) * (1 - ink(x, y, 3)); };
      for (const auto convention : {Convention::people, Convention::reference}) {
        expect_near(decode_image(test::write_jpeg(s), "k.jpg", {.convention = convention}), 40, 24, ycck ? 14 : 4, want,
                    adobe ? "Adobe" : "plain");
      }
    }
  }
}

/// Where the stored pixel (x, y) of a w x h picture must end up, in the words of the EXIF standard: row 0 and column 0
/// of the stored picture are the visual (top | bottom | left | right) sides.
image::Size place(int orientation, int x, int y, int w, int h) {
  switch (orientation) {
    case 2:
      return {w - 1 - x, y};  // top, right
    case 3:
      return {w - 1 - x, h - 1 - y};  // bottom, right
    case 4:
      return {x, h - 1 - y};  // bottom, left
    case 5:
      return {y, x};  // left, top
    case 6:
      return {h - 1 - y, x};  // right, top
    case 7:
      return {h - 1 - y, w - 1 - x};  // right, bottom
    case 8:
      return {y, w - 1 - x};  // left, bottom
    default:
      return {x, y};
  }
}

TEST(Jpeg, ExifOrientationsOneToEight) {
  constexpr int w = 11, h = 6;
  for (int orientation = 0; orientation <= 9; ++orientation) {
    for (const bool big_endian : {false, true}) {
      JpegSpec s = smooth_jpeg(w, h, 3);
      s.exif = test::exif_block(orientation, big_endian);
      const Bytes file = test::write_jpeg(s);
      const auto stored = decode_image(file, "o.jpg", {.convention = Convention::reference});
      const auto upright = decode_image(file, "o.jpg");
      const bool turned = orientation >= 5 && orientation <= 8;
      ASSERT_EQ(upright.image.size(), (image::Size{turned ? h : w, turned ? w : h})) << orientation;
      EXPECT_EQ(upright.facts.orientation_applied, orientation >= 2 && orientation <= 8);
      EXPECT_EQ(upright.facts.stored, (image::Size{w, h}));
      for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x) {
          const auto at = place(orientation, x, y, w, h);
          for (int c = 0; c < 3; ++c)
            ASSERT_EQ(upright.image.rgb[3 * (at.height * upright.image.width + at.width) + c],
                      stored.image.rgb[3 * (y * w + x) + c])
                << "orientation " << orientation << " at " << x << "," << y;
        }
    }
  }
}

TEST(Jpeg, TruncationIsAnErrorThatSaysHowFarItCame) {
  for (const bool progressive : {false, true}) {
    for (const int restarts : {0, 1}) {
      JpegSpec s = smooth_jpeg(64, 48, 3);
      s.progressive = progressive;
      s.restart_rows = restarts;
      const Bytes file = test::write_jpeg(s);
      const auto whole = decode_image(file, "t.jpg");
      EXPECT_TRUE(whole.facts.warnings.empty());
      for (std::size_t n = 3; n < file.size(); ++n) {
        try {
          const auto got = decode_image({file.data(), n}, "t.jpg");
          EXPECT_EQ(got.image.rgb, whole.image.rgb) << n;  // only the end marker may be missing
          EXPECT_FALSE(got.facts.warnings.empty()) << n;
          EXPECT_GE(n, file.size() - 2);
        } catch (const Error& e) {
          EXPECT_EQ(e.category(), ErrorCategory::input) << e.what();
          EXPECT_NE(std::string(e.what()).find("truncated JPEG"), std::string::npos) << n << ": " << e.what();
        }
      }
    }
  }
}

TEST(Jpeg, DataThatEndsBehindAnEndMarkerIsAnErrorToo) {
  Bytes file = test::write_jpeg(smooth_jpeg(64, 48, 3));
  file.resize(file.size() * 2 / 3);
  file.push_back(std::byte{0xFF});
  file.push_back(std::byte{0xD9});
  EXPECT_THROW(decode_image(file, "cut.jpg"), Error);
}

TEST(Jpeg, EveryFlippedByteIsAnErrorOrADecodedPicture) {
  JpegSpec s = smooth_jpeg(24, 24, 3);
  s.exif = test::exif_block(6, false);
  for (const bool progressive : {false, true}) {
    s.progressive = progressive;
    const Bytes file = test::write_jpeg(s);
    for (std::size_t i = 0; i < file.size(); ++i) {
      Bytes bad = file;
      bad[i] ^= std::byte{0x55};
      try {
        const auto got = decode_image(bad, "f.jpg", {.max_pixels = 1 << 22});
        EXPECT_EQ(got.image.rgb.size(), std::size_t{3} * got.image.width * got.image.height);
      } catch (const Error& e) {
        EXPECT_TRUE(e.category() == ErrorCategory::input || e.category() == ErrorCategory::resource) << e.what();
      }
    }
  }
}

}  // namespace
}  // namespace mtmd::media
