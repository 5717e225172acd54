// BMP, GIF and TIFF.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/base/error.h"
#include "mtmd/media/bitmap_writers.h"
#include "mtmd/media/image_file.h"

namespace mtmd::media {
namespace {

using test::BmpSpec, test::Bytes, test::GifSpec, test::TiffPage;

std::string message_of(const Bytes& file, ErrorCategory category = ErrorCategory::input,
                       const ImageOptions& options = {}) {
  try {
    decode_image(file, "some file", options);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), category) << e.what();
    EXPECT_EQ(std::string(e.what()).rfind("some file: ", 0), 0u) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

bool says(const std::string& message, std::string_view part) { return message.find(part) != std::string::npos; }

std::uint32_t pixel(const image::Image& image, int x, int y) {
  const std::uint8_t* p = &image.rgb[3 * (static_cast<std::size_t>(y) * image.width + x)];
  return std::uint32_t{p[0]} << 16 | std::uint32_t{p[1]} << 8 | p[2];
}

/// Every pixel another.
std::vector<std::uint32_t> ramp(int n) {
  std::vector<std::uint32_t> v;
  for (int i = 0; i < n; ++i) v.push_back(static_cast<std::uint32_t>(i * 0x030507 & 0xffffff));
  return v;
}

void expect_pixels(const Bytes& file, int width, int height, const std::vector<std::uint32_t>& want) {
  const DecodedImage got = decode_image(file, "x");
  ASSERT_EQ(got.image.size(), (image::Size{width, height}));
  EXPECT_EQ(probe_image(file, "x").size, got.facts.size);
  for (int i = 0; i < width * height; ++i)
    ASSERT_EQ(pixel(got.image, i % width, i / width), want[static_cast<std::size_t>(i)]) << i;
}

TEST(Bmp, TrueColourInBothDirectionsAndAllHeaders) {
  const auto pixels = ramp(7 * 5);
  for (const int header : {12, 40, 56, 124}) {
    expect_pixels(test::write_bmp({.width = 7, .height = 5, .header = header, .pixels = pixels}), 7, 5, pixels);
  }
  expect_pixels(test::write_bmp({.width = 7, .height = -5, .pixels = pixels}), 7, 5, pixels);
  expect_pixels(test::write_bmp({.width = 7, .height = 5, .bits = 32, .pixels = pixels}), 7, 5, pixels);
}

TEST(Bmp, Palettes) {
  const std::vector<std::uint32_t> colors = {0x102030, 0xffffff, 0xff0000, 0x00ff80};
  for (const int bits : {1, 4, 8}) {
    std::vector<std::uint32_t> indices, want;
    for (int i = 0; i < 11 * 3; ++i) indices.push_back(static_cast<std::uint32_t>(i * i % (bits == 1 ? 2 : 4)));
    for (const std::uint32_t i : indices) want.push_back(colors[i]);
    for (const int header : {12, 40}) {
      BmpSpec spec{.width = 11, .height = 3, .bits = bits, .header = header, .palette = colors, .pixels = indices};
      if (bits == 1) spec.palette.resize(2);
      expect_pixels(test::write_bmp(spec), 11, 3, want);
    }
  }
}

TEST(Bmp, BitFieldsAndAlpha) {
  expect_pixels(test::write_bmp({.width = 2, .height = 1, .bits = 16, .pixels = {0x7fff, 0x0401}}), 2, 1,
                {0xffffff, 0x080008});  // 5 bits each; a field of 1 is 00001, repeated
  expect_pixels(test::write_bmp({.width = 2,
                                 .height = 1,
                                 .bits = 16,
                                 .compression = 3,
                                 .masks = {0xf800, 0x07e0, 0x001f, 0},
                                 .pixels = {0xffff, 0xf800}}),
                2, 1, {0xffffff, 0xff0000});
  const BmpSpec alpha{.width = 2,
                      .height = 1,
                      .bits = 32,
                      .header = 124,
                      .compression = 3,
                      .masks = {0xff, 0xff00, 0xff0000, 0xff000000},
                      .pixels = {0xff332211, 0x00332211}};
  expect_pixels(test::write_bmp(alpha), 2, 1, {0x112233, 0xffffff});
  const auto dropped = decode_image(test::write_bmp(alpha), "x", {.convention = Convention::reference});
  EXPECT_TRUE(dropped.facts.had_alpha);
  EXPECT_EQ(pixel(dropped.image, 1, 0), 0x112233u);
}

TEST(Bmp, BadFiles) {
  const Bytes good = test::write_bmp({.width = 7, .height = 5, .pixels = ramp(35)});
  for (std::size_t n : {std::size_t{20}, std::size_t{40}}) {
    EXPECT_TRUE(says(message_of(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n))), "truncated BMP"));
  }
  EXPECT_TRUE(says(message_of(Bytes(good.begin(), good.end() - 30)), "3 of 5 rows"));
  EXPECT_TRUE(says(message_of(test::write_bmp({.width = 2, .height = 1, .compression = 1, .pixels = {1, 2}})),
                   "compression 1"));
  EXPECT_TRUE(says(message_of(test::write_bmp({.width = 2, .height = 1, .bits = 24, .pixels = {1, 2}}),
                              ErrorCategory::resource, {.max_pixels = 1}),
                   "2 x 1"));
  EXPECT_TRUE(says(message_of(test::write_bmp({.width = 1 << 30, .height = 0, .pixels = {}})), "1073741824 x 0"));
  for (const std::byte header : {std::byte{0}, std::byte{16}, std::byte{39}}) {
    Bytes other = good;
    other[14] = header;
    EXPECT_TRUE(says(message_of(other), "expected 12 or at least 40"));
  }
  const BmpSpec torn{
      .width = 1, .height = 1, .bits = 32, .compression = 3, .masks = {5, 0xff00, 0xff, 0}, .pixels = {0}};
  EXPECT_TRUE(says(message_of(test::write_bmp(torn)), "bit mask 0x5"));
}

constexpr std::array<std::uint32_t, 4> kColors = {0x000000, 0xff0000, 0x00ff00, 0x123456};

TEST(Gif, FirstPictureOfAnAnimationWithoutUnpackingTheRest) {
  GifSpec spec{.width = 3, .height = 2, .palette = kColors, .frames = {{0, 0, 3, 2, -1, {0, 1, 2, 3, 2, 1}}}};
  const std::vector<std::uint32_t> want = {kColors[0], kColors[1], kColors[2], kColors[3], kColors[2], kColors[1]};
  expect_pixels(test::write_gif(spec), 3, 2, want);
  EXPECT_TRUE(decode_image(test::write_gif(spec), "x").facts.warnings.empty());
  spec.frames.push_back({0, 0, 60000, 60000, -1, {1}});  // a bomb, if it were unpacked
  expect_pixels(test::write_gif(spec), 3, 2, want);
  EXPECT_TRUE(says(decode_image(test::write_gif(spec), "x").facts.warnings.at(0), "only its first picture"));
  spec.frames.pop_back();
  spec.trailer = false;
  expect_pixels(test::write_gif(spec), 3, 2, want);
}

TEST(Gif, TransparencyAndAPartOfTheScreen) {
  const GifSpec spec{.width = 4, .height = 2, .background = 3, .palette = kColors, .frames = {{1, 0, 2, 1, 1, {2, 1}}}};
  const Bytes file = test::write_gif(spec);
  const std::uint32_t w = 0xffffff, b = kColors[3];
  expect_pixels(file, 4, 2, {w, kColors[2], w, w, w, w, w, w});
  const auto reference = decode_image(file, "x", {.convention = Convention::reference});
  EXPECT_TRUE(reference.facts.had_alpha);
  const std::vector<std::uint32_t> want = {b, kColors[2], b, b, b, b, b, b};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(pixel(reference.image, i % 4, i / 4), want[static_cast<std::size_t>(i)]) << i;
}

TEST(Gif, BadFiles) {
  const GifSpec spec{.width = 3, .height = 2, .palette = kColors, .frames = {{0, 0, 3, 2, -1, {0, 1, 2, 3, 2, 1}}}};
  const Bytes good = test::write_gif(spec);
  for (std::size_t n = 6; n + 2 < good.size(); ++n) {
    EXPECT_TRUE(says(message_of(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n))), "truncated GIF"))
        << n;
  }
  GifSpec wide = spec;
  wide.width = wide.height = 65535;
  EXPECT_TRUE(says(message_of(test::write_gif(wide), ErrorCategory::resource), "65535 x 65535"));
  GifSpec short_of_pixels = spec;
  short_of_pixels.frames[0].indices.resize(2);
  EXPECT_TRUE(says(message_of(test::write_gif(short_of_pixels)), "cannot be unpacked"));
  EXPECT_TRUE(says(message_of(test::write_gif({.width = 3, .height = 2, .palette = kColors})), "no picture"));
}

TiffPage page(int width, int height, int seed) {
  TiffPage p{width, height, {}};
  for (int i = 0; i < 3 * width * height; ++i) p.rgb.push_back(static_cast<std::uint8_t>(i * 7 + seed));
  return p;
}

TEST(Tiff, PagesOneByOne) {
  const TiffPage a = page(9, 4, 0), b = page(5, 6, 99);
  const Bytes one = test::write_tiff({a}), two = test::write_tiff({a, b});
  EXPECT_EQ(decode_image(one, "x").image.rgb, a.rgb);
  EXPECT_TRUE(decode_image(one, "x").facts.warnings.empty());
  const DecodedImage first = decode_image(two, "x"), second = decode_image(two, "x", {.page = 1});
  EXPECT_EQ(first.image.rgb, a.rgb);
  EXPECT_EQ(first.facts.pages, 2);
  EXPECT_TRUE(says(first.facts.warnings.at(0), "2 pages"));
  EXPECT_EQ(second.image.rgb, b.rgb);
  EXPECT_EQ(second.image.size(), (image::Size{5, 6}));
  EXPECT_TRUE(second.facts.warnings.empty());
  EXPECT_TRUE(says(message_of(two, ErrorCategory::input, {.page = 2}), "the file has 2"));
}

TEST(Tiff, ComesUpright) {
  const TiffPage a = page(9, 4, 0);
  // Where the first upright pixel is stored, by orientation (x, y): Leptonica itself is wrong about the last.
  const int corners[][2] = {{0, 0}, {8, 0}, {8, 3}, {0, 3}, {0, 0}, {0, 3}, {8, 3}, {8, 0}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Bytes file = test::write_tiff({a}, orientation);
    const DecodedImage got = decode_image(file, "x");
    EXPECT_EQ(got.facts.stored, (image::Size{9, 4}));
    ASSERT_EQ(got.image.size(), orientation >= 5 ? (image::Size{4, 9}) : (image::Size{9, 4})) << orientation;
    EXPECT_EQ(probe_image(file, "x").size, got.facts.size);
    const int* corner = corners[orientation - 1];
    for (int c = 0; c < 3; ++c) {
      EXPECT_EQ(got.image.rgb[static_cast<std::size_t>(c)],
                a.rgb[static_cast<std::size_t>(3 * (9 * corner[1] + corner[0]) + c)])
          << orientation;
    }
  }
}

TEST(Tiff, BadFiles) {
  const Bytes good = test::write_tiff({page(40, 30, 1)});
  EXPECT_TRUE(says(message_of(test::bytes_of(std::string_view("II*\0\x08\0\0\0", 8))), "no directory"));
  EXPECT_TRUE(says(message_of(Bytes(good.begin(), good.begin() + 100)), "no directory"));
  EXPECT_TRUE(says(message_of(good, ErrorCategory::resource, {.max_pixels = 1000}), "40 x 30"));
  Bytes circle =
      test::bytes_of(std::string_view("II*\0\x08\0\0\0\x01\0\0\x01\x03\0\x01\0\0\0\x05\0\0\0\x08\0\0\0", 26));
  EXPECT_TRUE(says(message_of(circle), "TIFF"));
}

}  // namespace
}  // namespace mtmd::media
