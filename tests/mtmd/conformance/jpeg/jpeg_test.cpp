// The reference's JPEG decoder gives the recorded pixels (copied from conformance/media) and survives damaged files.
#include <gtest/gtest.h>

#include "engine/base/mapped_file.h"
#include "mtmd/conformance/reference_jpeg.h"
#include "mtmd/media/image_file.h"

namespace mtmd::conformance {
namespace {

constexpr const char* kFolder = MTMD_TEST_DATA "/media/inputs/";

TEST(ReferenceJpeg, PixelsAreTheRecordedOnes) {
  for (const std::string name : {"gray.jpg", "small.jpg", "yuv444.jpg", "progressive_exif6.jpg"}) {
    const MappedFile file(kFolder + name), recorded(kFolder + name + ".ppm");
    const auto got = reference_jpeg(file.bytes());
    ASSERT_TRUE(got) << name;
    const image::Image want = media::decode_image(recorded.bytes(), name).image;
    EXPECT_EQ(got->size(), want.size()) << name;
    EXPECT_EQ(got->rgb, want.rgb) << name;
  }
}

TEST(ReferenceJpeg, WhatIsNoJpegIsNothing) {
  const MappedFile file(kFolder + std::string("small.jpg")), png(kFolder + std::string("odd.png"));
  EXPECT_FALSE(reference_jpeg({}));
  EXPECT_FALSE(reference_jpeg(png.bytes()));
  EXPECT_FALSE(reference_jpeg(file.bytes().first(300)));
}

}  // namespace
}  // namespace mtmd::conformance
