// Pixels against conformance/media/resize.golden.gguf (a copy is in tests/data/media).
#include "encoders/image/resize.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>

#include "engine/gguf/gguf.h"

namespace mtmd::image {
namespace {

const gguf::File& golden() {
  static const gguf::File file =
      gguf::File::open(std::filesystem::path(MTMD_TEST_DATA) / "media" / "resize.golden.gguf");
  return file;
}

Image picture(const std::string& name) {
  const gguf::TensorInfo* tensor = golden().find(name);
  if (tensor == nullptr) throw std::runtime_error("no tensor " + name);
  Image image{1, 1, {}};
  const auto& shape = tensor->shape;  // [height, width, 3]; leading ones are dropped
  image.width = static_cast<int>(shape[shape.size() - 2]);
  image.height = shape.size() > 2 ? static_cast<int>(shape[0]) : 1;
  image.rgb.resize(tensor->data.size());
  std::memcpy(image.rgb.data(), tensor->data.data(), tensor->data.size());
  return image;
}

struct Case {
  std::string source;
  Size size;
  Filter filter;
  Padding padding;
};

Case parse(const std::string& name) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0, end; begin <= name.size(); begin = end + 1) {
    end = std::min(name.find('.', begin), name.size());
    parts.push_back(name.substr(begin, end - begin));
  }
  const std::string &size = parts.at(1), &filter = parts.at(2), &padding = parts.at(3);
  const auto x = size.find('x');
  return {parts.at(0),
          {std::stoi(size.substr(0, x)), std::stoi(size.substr(x + 1))},
          filter == "bilinear"  ? Filter::bilinear
          : filter == "bicubic" ? Filter::bicubic
          : filter == "lanczos" ? Filter::lanczos
                                : Filter::bicubic_pillow,
          padding == "none"   ? Padding::none
          : padding == "ceil" ? Padding::ceil
                              : Padding::nearest};
}

TEST(Resize, RecordedPixels) {
  const auto cases = golden().metadata().require<std::vector<std::string_view>>("golden.cases");
  const auto color = golden().metadata().require<std::vector<std::int32_t>>("golden.pad_color");
  ASSERT_EQ(cases.size(), 168u);
  const Color pad{static_cast<std::uint8_t>(color[0]), static_cast<std::uint8_t>(color[1]),
                  static_cast<std::uint8_t>(color[2])};
  std::map<Filter, std::pair<std::size_t, std::size_t>> near_ties;  // values, values off by one
  for (const std::string_view name : cases) {
    SCOPED_TRACE(std::string(name));
    const Case c = parse(std::string(name));
    const Image got = fit(picture("src." + c.source), c.size, c.filter, c.padding, pad);
    const Image want = picture(std::string(name));
    ASSERT_EQ(got.rgb.size(), want.rgb.size());
    int most = 0, off = 0;
    for (std::size_t i = 0; i < got.rgb.size(); ++i) {
      const int difference = std::abs(got.rgb[i] - want.rgb[i]);
      most = std::max(most, difference), off += difference != 0;
    }
    const bool cubic = c.filter == Filter::bicubic || c.filter == Filter::bicubic_pillow;
    EXPECT_LE(most, cubic ? 1 : 0) << off << " values differ";
    near_ties[c.filter].first += got.rgb.size(), near_ties[c.filter].second += off;
  }
  // What the kit's README allows.
  EXPECT_LE(near_ties[Filter::bicubic].second, near_ties[Filter::bicubic].first / 1000);
  EXPECT_LE(near_ties[Filter::bicubic_pillow].second, near_ties[Filter::bicubic_pillow].first / 2000);
}

TEST(Resize, SameSizeIsACopy) {
  const Image odd = picture("src.odd");
  for (Filter filter : {Filter::bilinear, Filter::bicubic, Filter::bicubic_pillow, Filter::lanczos}) {
    EXPECT_EQ(resize(odd, odd.size(), filter).rgb, odd.rgb);
  }
}

TEST(Resize, ConstantStaysConstant) {
  for (Filter filter : {Filter::bilinear, Filter::bicubic, Filter::bicubic_pillow, Filter::lanczos}) {
    for (Size from : {Size{1, 1}, Size{7, 1}, Size{1, 9}, Size{640, 3}}) {
      Image image{from.width, from.height, std::vector<std::uint8_t>(3u * from.width * from.height, 201)};
      for (Size to : {Size{1, 1}, Size{2, 5}, Size{33, 17}, Size{1, 100}}) {
        const Image out = resize(image, to, filter);
        ASSERT_EQ(out.size(), to);
        for (std::uint8_t v : out.rgb) ASSERT_EQ(v, 201);
      }
    }
  }
}

TEST(Resize, ExtremeShapesStayCheap) {
  for (Size from : {Size{65535, 1}, Size{1, 65535}, Size{30000, 2}}) {
    const Image image{from.width, from.height, std::vector<std::uint8_t>(3u * from.width * from.height, 7)};
    for (Filter filter : {Filter::bilinear, Filter::bicubic, Filter::bicubic_pillow, Filter::lanczos}) {
      for (Padding padding : {Padding::none, Padding::ceil, Padding::nearest}) {
        EXPECT_EQ(fit(image, {336, 336}, filter, padding).size(), (Size{336, 336}));
      }
    }
  }
}

TEST(Resize, APhotoTakesMuchLessThanASecond) {
  Image photo{4000, 3000, std::vector<std::uint8_t>(3u * 4000 * 3000)};
  for (std::size_t i = 0; i < photo.rgb.size(); ++i) photo.rgb[i] = static_cast<std::uint8_t>(i * 2654435761u >> 24);
  for (Filter filter : {Filter::bilinear, Filter::bicubic, Filter::bicubic_pillow, Filter::lanczos}) {
    const auto begin = std::chrono::steady_clock::now();
    resize(photo, {2044, 1540}, filter);
    const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    RecordProperty("ms_filter_" + std::to_string(static_cast<int>(filter)), static_cast<int>(ms));
    EXPECT_LT(ms, 10000.0);  // generous: sanitizer builds on a busy machine
  }
}

TEST(Crop, TakesTheRectangle) {
  const Image odd = picture("src.odd");
  const Image part = crop(odd, 5, 11, {20, 9});
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 60; ++x) ASSERT_EQ(part.rgb[y * 60 + x], odd.rgb[((y + 11) * odd.width + 5) * 3 + x]);
  }
}

TEST(Normalize, PerChannel) {
  const Planes planes = normalize({1, 1, {0, 128, 255}}, {0.0f, 0.5f, 0.25f}, {1.0f, 0.5f, 0.25f});
  EXPECT_FLOAT_EQ(planes.rgb[0], 0.0f);
  EXPECT_FLOAT_EQ(planes.rgb[1], (128.0f / 255.0f - 0.5f) / 0.5f);
  EXPECT_FLOAT_EQ(planes.rgb[2], 3.0f);
}

}  // namespace
}  // namespace mtmd::image
