// WebP, PPM/PGM, limits, unknown content and hashes.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/base/error.h"
#include "mtmd/media/exif.h"
#include "mtmd/media/image_file.h"
#include "mtmd/media/picture_writers.h"
#include "mtmd/media/sha256.h"

namespace mtmd::media {
namespace {

using test::Bytes, test::bytes_of;

std::string message_of(const Bytes& file, ErrorCategory category, const ImageOptions& options = {}) {
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

std::vector<std::uint8_t> rgba_ramp(int w, int h) {
  std::vector<std::uint8_t> p;
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) {
      for (const int v : {x * 3, y * 5, 200 - x - y, 255 * x / w}) p.push_back(static_cast<std::uint8_t>(v));
    }
  return p;
}

TEST(Webp, LosslessIsExactAndAlphaIsComposed) {
  const auto pixels = rgba_ramp(50, 30);
  const Bytes file = test::write_webp(50, 30, pixels, true);
  const auto got = decode_image(file, "a.webp");
  ASSERT_EQ(got.image.size(), (image::Size{50, 30}));
  EXPECT_TRUE(got.facts.had_alpha);
  EXPECT_EQ(got.facts.format, ImageFormat::webp);
  for (std::size_t i = 0; i < 50 * 30; ++i) {
    const double a = pixels[4 * i + 3] / 255.0;
    // A fully transparent pixel may lose its colour in the encoder.
    for (int c = 0; c < 3; ++c)
      ASSERT_NEAR(got.image.rgb[3 * i + c], a == 0 ? 255 : pixels[4 * i + c] * a + 255 * (1 - a), 0.51) << i;
  }
  const auto dropped = decode_image(file, "a.webp", {.convention = Convention::reference});
  for (std::size_t i = 0; i < 50 * 30; ++i) {
    if (pixels[4 * i + 3] == 0) continue;
    for (int c = 0; c < 3; ++c) ASSERT_EQ(dropped.image.rgb[3 * i + c], pixels[4 * i + c]);
  }
}

TEST(Webp, LossyIsNearAndOrientationCounts) {
  auto pixels = rgba_ramp(48, 20);
  for (std::size_t i = 3; i < pixels.size(); i += 4) pixels[i] = 255;
  const auto got = decode_image(test::write_webp(48, 20, pixels, false), "l.webp");
  ASSERT_EQ(got.image.size(), (image::Size{48, 20}));
  EXPECT_FALSE(got.facts.had_alpha);
  double sum = 0;
  for (std::size_t i = 0; i < 48 * 20; ++i)
    for (int c = 0; c < 3; ++c) sum += std::abs(got.image.rgb[3 * i + c] - pixels[4 * i + c]);
  EXPECT_LT(sum / (48 * 20 * 3), 4);
  const auto turned = decode_image(test::write_webp(48, 20, pixels, true, test::exif_block(6, false)), "o.webp");
  EXPECT_EQ(turned.facts.orientation, 6);
  EXPECT_EQ(turned.image.size(), (image::Size{20, 48}));
}

TEST(Webp, TruncationIsAnError) {
  const auto pixels = rgba_ramp(50, 30);
  for (const bool lossless : {false, true}) {
    const Bytes file = test::write_webp(50, 30, pixels, lossless);
    const auto whole = decode_image(file, "some file");
    for (std::size_t n = 12; n < file.size(); ++n) {
      try {
        const auto got = decode_image({file.data(), n}, "some file");
        EXPECT_EQ(got.image.rgb, whole.image.rgb) << n;
      } catch (const Error& e) {
        EXPECT_EQ(e.category(), ErrorCategory::input) << e.what();
      }
    }
    const Bytes half(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(file.size() / 2));
    EXPECT_TRUE(says(message_of(half, ErrorCategory::input), "truncated WebP"));
  }
}

TEST(Pnm, GreyColourSixteenBitsAndComments) {
  const auto grey = decode_image(bytes_of("P5\n# a comment 9 9\n2 1 # another\n255\nA\xFF"), "g.pgm");
  EXPECT_EQ(grey.image.rgb, (std::vector<std::uint8_t>{65, 65, 65, 255, 255, 255}));
  const Bytes deep = bytes_of(std::string_view("P6 1 1 65535\n\x80\x7F\x00\xFF\xFF\xFF", 19));
  EXPECT_EQ(decode_image(deep, "d.ppm").image.rgb, (std::vector<std::uint8_t>{128, 1, 255}));
  EXPECT_EQ(decode_image(deep, "d.ppm", {.convention = Convention::reference}).image.rgb,
            (std::vector<std::uint8_t>{128, 0, 255}));
  EXPECT_EQ(decode_image(bytes_of("P5 1 1 3\n\x02"), "q.pgm").image.rgb, (std::vector<std::uint8_t>{170, 170, 170}));
  EXPECT_TRUE(says(message_of(bytes_of("P5 3 3 255\nabcd"), ErrorCategory::input), "1 of 3 rows"));
  EXPECT_TRUE(says(message_of(bytes_of("P5 3 x"), ErrorCategory::input), "no height"));
  EXPECT_TRUE(says(message_of(bytes_of("P5 3 3 70000\n"), ErrorCategory::input), "70000"));
  EXPECT_TRUE(says(message_of(bytes_of("P6 0 4 255\n"), ErrorCategory::input), "0 x 4"));
}

/// A PNG whose header claims w x h, with a right checksum and no pixels.
Bytes png_header_claiming(unsigned w, unsigned h) {
  Bytes chunk = bytes_of("IHDR");
  for (const unsigned v : {w, h})
    for (int i = 3; i >= 0; --i) chunk.push_back(static_cast<std::byte>(v >> (8 * i)));
  for (const int v : {8, 2, 0, 0, 0}) chunk.push_back(static_cast<std::byte>(v));
  std::uint32_t crc = ~0u;
  for (const std::byte b : chunk) {
    crc ^= std::to_integer<std::uint32_t>(b);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  crc = ~crc;
  Bytes file = bytes_of(std::string_view("\x89PNG\r\n\x1a\n\0\0\0\x0d", 12));
  for (const std::byte b : chunk) file.push_back(b);
  for (int i = 3; i >= 0; --i) file.push_back(static_cast<std::byte>(crc >> (8 * i)));
  const Bytes idat = bytes_of(std::string_view("\0\0\0\x02IDAT\x78\x9c\0\0\0\0", 14));
  for (const std::byte b : idat) file.push_back(b);
  return file;
}

TEST(Limits, HugeClaimsAreRefusedBeforeAnythingIsAllocated) {
  const auto big = message_of(png_header_claiming(60000, 60000), ErrorCategory::resource);
  EXPECT_TRUE(says(big, "60000 x 60000 = 3600000000 pixels")) << big;
  EXPECT_TRUE(says(big, "at most 268435456")) << big;
  const auto wide = message_of(png_header_claiming(100000, 2), ErrorCategory::resource);
  EXPECT_TRUE(says(wide, "at most 65535")) << wide;
  // Within the limits, but more than so few bytes can hold.
  const auto empty = message_of(png_header_claiming(16000, 16000), ErrorCategory::input);
  EXPECT_TRUE(says(empty, "truncated PNG")) << empty;
  Bytes jpeg = test::write_jpeg({.width = 8, .height = 8, .samples = std::vector<std::uint8_t>(192, 9)});
  for (std::size_t i = 0; i + 9 < jpeg.size(); ++i) {
    if (jpeg[i] != std::byte{0xFF} || jpeg[i + 1] != std::byte{0xC0}) continue;
    for (int k = 5; k < 9; ++k) jpeg[i + k] = std::byte{0xEA};  // 60138 x 60138
  }
  EXPECT_TRUE(says(message_of(jpeg, ErrorCategory::resource), "60138 x 60138"));
  EXPECT_TRUE(says(message_of(bytes_of("P6 60000 60000 255\n"), ErrorCategory::resource), "60000 x 60000"));
  EXPECT_TRUE(
      says(message_of(bytes_of("P6 20 20 255\n"), ErrorCategory::resource, {.max_pixels = 399}), "at most 399"));
}

TEST(Limits, ExtremeShapesDecode) {
  test::PngSpec flat{.width = 30000, .height = 2};
  for (std::size_t i = 0; i < 30000 * 2 * 3; ++i) flat.samples.push_back(static_cast<std::uint16_t>(i * 7 % 256));
  const auto got = decode_image(test::write_png(flat), "flat.png");
  ASSERT_EQ(got.image.size(), (image::Size{30000, 2}));
  EXPECT_TRUE(std::equal(got.image.rgb.begin(), got.image.rgb.end(), flat.samples.begin()));
  test::JpegSpec jpeg{.width = 30000, .height = 2, .samples = std::vector<std::uint8_t>(180000, 77)};
  EXPECT_EQ(decode_image(test::write_jpeg(jpeg), "flat.jpg").image.size(), (image::Size{30000, 2}));
}

TEST(Content, IsNamedWhenItIsNotAPicture) {
  EXPECT_TRUE(says(message_of({}, ErrorCategory::input), "empty"));
  EXPECT_TRUE(says(message_of(bytes_of("GIF89a..."), ErrorCategory::input), "truncated GIF"));
  EXPECT_TRUE(says(message_of(bytes_of("%PDF-1.7"), ErrorCategory::input), "a PDF"));
  const auto text = message_of(bytes_of("hello world"), ErrorCategory::input);
  EXPECT_TRUE(says(text, "PNG, JPEG, WebP, BMP, GIF, TIFF and PPM/PGM")) << text;
}

TEST(Content, ProbeAgreesWithDecode) {
  const std::string folder = MTMD_TEST_DATA "/media/inputs/";
  for (const auto* file :
       {"deep16.png", "palette.png", "tall_rgba.png", "progressive_exif6.jpg", "gray.jpg", "rgb.ppm"}) {
    const Bytes bytes = test::read_file(folder + file);
    const ImageFacts probed = probe_image(bytes, file);
    const ImageFacts decoded = decode_image(bytes, file).facts;
    EXPECT_EQ(probed.size, decoded.size) << file;
    EXPECT_EQ(probed.stored, decoded.stored) << file;
    EXPECT_EQ(probed.format, decoded.format) << file;
    EXPECT_EQ(probed.had_alpha, decoded.had_alpha) << file;
    EXPECT_EQ(probed.bit_depth, decoded.bit_depth) << file;
    EXPECT_EQ(probed.orientation_applied, decoded.orientation_applied) << file;
  }
}

TEST(Exif, NonsenseIsOrientationOne) {
  const Bytes good = test::exif_block(7, true);
  EXPECT_EQ(exif_orientation(good), 7);
  for (std::size_t n = 0; n < good.size(); ++n) {
    const int o = exif_orientation({good.data(), n});
    EXPECT_TRUE(o == 1 || o == 7) << n;
  }
  Bytes far = good;
  for (int i = 4; i < 8; ++i) far[i] = std::byte{0xFF};
  EXPECT_EQ(exif_orientation(far), 1);
}

TEST(Sha256, KnownAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(bytes_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  pieces.update(bytes_of("a"));
  pieces.update(bytes_of("bc"));
  EXPECT_EQ(pieces.hex(), sha256_hex(bytes_of("abc")));
}

}  // namespace
}  // namespace mtmd::media
