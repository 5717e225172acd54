#include <gtest/gtest.h>

#include <random>

#include "engine/base/error.h"
#include "mtmd/media/image_file.h"
#include "mtmd/media/picture_writers.h"

namespace mtmd::media {
namespace {

using test::Bytes, test::PngSpec;

PngSpec random_png(int width, int height, int colour, int depth, bool interlaced) {
  PngSpec s{.width = width, .height = height, .depth = depth, .colour = colour, .interlaced = interlaced};
  std::mt19937 rng(static_cast<unsigned>(width * 131 + height + colour * 7 + depth));
  const int n_colours = colour == 3 ? 1 << depth : 0;
  for (int i = 0; i < 3 * n_colours; ++i) s.palette.push_back(static_cast<std::uint8_t>(rng()));
  const std::size_t n = static_cast<std::size_t>(width) * height * test::png_channels(colour);
  for (std::size_t i = 0; i < n; ++i) s.samples.push_back(static_cast<std::uint16_t>(rng() % (1u << depth)));
  return s;
}

/// Straight from the definitions: sample -> 0..255 (real), alpha 0..1.
struct Expected {
  double rgb[3], alpha;
};
Expected expected_pixel(const PngSpec& s, std::size_t i) {
  const int n = test::png_channels(s.colour);
  const double max = (1 << s.depth) - 1;
  const auto* p = s.samples.data() + i * n;
  Expected e{{0, 0, 0}, 1};
  for (int c = 0; c < 3; ++c) {
    if (s.colour == 3) {
      e.rgb[c] = s.palette[3 * p[0] + c];
    } else {
      e.rgb[c] = p[n >= 3 ? c : 0] * 255.0 / max;
    }
  }
  if (n == 2 || n == 4) e.alpha = p[n - 1] / max;
  if (s.transparent.empty()) return e;
  if (s.colour == 3) {
    if (p[0] < s.transparent.size()) e.alpha = s.transparent[p[0]] / 255.0;
  } else if (std::equal(p, p + n, s.transparent.begin())) {
    e.alpha = 0;
  }
  return e;
}

void check(const PngSpec& s, const std::string& what) {
  const Bytes file = test::write_png(s);
  const auto people = decode_image(file, "p.png");
  const auto reference = decode_image(file, "p.png", {.convention = Convention::reference});
  ASSERT_EQ(people.image.size(), (image::Size{s.width, s.height})) << what;
  ASSERT_EQ(people.image.rgb.size(), std::size_t{3} * s.width * s.height) << what;
  ASSERT_EQ(reference.image.rgb.size(), people.image.rgb.size()) << what;
  EXPECT_EQ(people.facts.bit_depth, s.depth) << what;
  EXPECT_EQ(people.facts.had_alpha, s.colour >= 4 || !s.transparent.empty()) << what;
  EXPECT_EQ(people.facts.format, ImageFormat::png);
  const int n = test::png_channels(s.colour);
  for (std::size_t i = 0; i < people.image.rgb.size(); ++i) {
    const Expected e = expected_pixel(s, i / 3);
    const double want = e.rgb[i % 3] * e.alpha + 255 * (1 - e.alpha);
    // One rounding to 8 bits of the colour, one of a 16-bit alpha, one of the blend.
    ASSERT_NEAR(people.image.rgb[i], want, e.alpha == 1 || e.alpha == 0 ? 0.51 : 1.51) << what << " sample " << i;
    const double direct = s.depth == 16 ? s.samples[i / 3 * n + (n >= 3 ? i % 3 : 0)] >> 8 : e.rgb[i % 3];
    ASSERT_NEAR(reference.image.rgb[i], direct, 0.01) << what << " sample " << i;
  }
}

TEST(Png, EveryColourTypeDepthAndInterlacing) {
  for (const auto& [colour, depths] :
       {std::pair{0, std::vector{1, 2, 4, 8, 16}}, {2, {8, 16}}, {3, {1, 2, 4, 8}}, {4, {8, 16}}, {6, {8, 16}}}) {
    for (const int depth : depths) {
      for (const bool interlaced : {false, true}) {
        for (const auto& [w, h] : {std::pair{1, 1}, {1, 9}, {13, 7}, {33, 2}}) {
          check(random_png(w, h, colour, depth, interlaced),
                fmt::format("colour {} depth {} interlaced {} {}x{}", colour, depth, interlaced, w, h));
        }
      }
    }
  }
}

TEST(Png, TransparentColours) {
  PngSpec palette = random_png(16, 16, 3, 4, false);
  palette.transparent = {0, 128, 255, 3};
  check(palette, "palette with alphas");
  PngSpec grey = random_png(16, 16, 0, 2, true);
  grey.transparent = {2};
  check(grey, "transparent grey");
  PngSpec rgb = random_png(9, 9, 2, 16, false);
  rgb.transparent = {rgb.samples[30], rgb.samples[31], rgb.samples[32]};
  check(rgb, "transparent RGB, 16 bits");
}

TEST(Png, TruncationIsAnErrorThatSaysHowFarItCame) {
  for (const bool interlaced : {false, true}) {
    PngSpec s = random_png(40, 30, 6, 8, interlaced);
    const Bytes file = test::write_png(s);
    const auto whole = decode_image(file, "t.png");
    const std::size_t n_tail = 12 + 4;  // IEND, and the checksum before it
    for (std::size_t n = 1; n < file.size(); ++n) {
      const std::span<const std::byte> cut(file.data(), n);
      if (n >= file.size() - n_tail) {  // every pixel is there
        try {
          const auto got = decode_image(cut, "t.png");
          EXPECT_EQ(got.image.rgb, whole.image.rgb);
          EXPECT_FALSE(got.facts.warnings.empty()) << n;
        } catch (const Error& e) {
          EXPECT_EQ(e.category(), ErrorCategory::input);
        }
        continue;
      }
      try {
        decode_image(cut, "t.png");
        FAIL() << "decoded from " << n << " of " << file.size() << " bytes";
      } catch (const Error& e) {
        EXPECT_EQ(e.category(), ErrorCategory::input) << e.what();
        if (n > 60) {
          EXPECT_NE(std::string(e.what()).find("truncated PNG"), std::string::npos) << e.what();
        }
      }
    }
  }
}

TEST(Png, EveryFlippedByteIsAnErrorOrADecodedPicture) {
  const Bytes file = test::write_png(random_png(20, 11, 3, 4, false));
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (const unsigned flip : {0x01u, 0x80u, 0xFFu}) {
      Bytes bad = file;
      bad[i] ^= static_cast<std::byte>(flip);
      try {
        const auto got = decode_image(bad, "f.png");
        EXPECT_EQ(got.image.rgb.size(), std::size_t{3} * got.image.width * got.image.height);
      } catch (const Error& e) {
        EXPECT_TRUE(e.category() == ErrorCategory::input || e.category() == ErrorCategory::resource) << e.what();
      }
    }
  }
}

TEST(Png, OrientationChunkBeforeOrAfterThePixels) {
  for (const bool at_end : {false, true}) {
    PngSpec s = random_png(5, 3, 2, 8, false);
    s.exif = test::exif_block(8, true);
    s.exif_at_end = at_end;
    const auto got = decode_image(test::write_png(s), "e.png");
    EXPECT_EQ(got.facts.orientation, 8);
    EXPECT_EQ(got.image.size(), (image::Size{3, 5}));
    const auto probed = probe_image(test::write_png(s), "e.png");
    EXPECT_EQ(probed.size, got.facts.size);
  }
}

}  // namespace
}  // namespace mtmd::media
