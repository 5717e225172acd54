#include "encoders/image/sizing.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd::image {
namespace {

TEST(SmartResize, RecordedRows) {
  const auto file = gguf::File::open(std::filesystem::path(MTMD_TEST_DATA) / "media" / "resize.golden.gguf");
  const gguf::TensorInfo* rows = file.find("smart_resize");
  ASSERT_NE(rows, nullptr);
  ASSERT_EQ(rows->shape, (std::vector<std::int64_t>{396, 8}));
  for (std::int64_t i = 0; i < 396; ++i) {
    std::int32_t v[8];  // w, h, align, min, max, longest, out_w, out_h
    std::memcpy(v, rows->data.data() + i * sizeof v, sizeof v);
    const Size got = smart_resize({v[0], v[1]}, {v[2], v[3], v[4], v[5]});
    EXPECT_EQ(got, (Size{v[6], v[7]})) << "row " << i << ": " << v[0] << "x" << v[1] << " align " << v[2] << " min "
                                       << v[3] << " max " << v[4] << " longest " << v[5] << " -> " << got.width << "x"
                                       << got.height << ", recorded " << v[6] << "x" << v[7];
  }
}

TEST(SmartResize, BoundedKeepsTheLimits) {
  const int sides[] = {1, 2, 3, 27, 28, 29, 100, 999, 4096, 30000, 65535, 1000000};
  for (int w : sides) {
    for (int h : sides) {
      for (std::int64_t max_pixels : {784 * 1, 784 * 64, 784 * 4096}) {
        const Size out = smart_resize_bounded({w, h}, {28, 784, max_pixels, 0});
        EXPECT_GE(out.width, 28);
        EXPECT_GE(out.height, 28);
        EXPECT_EQ(out.width % 28, 0);
        EXPECT_EQ(out.height % 28, 0);
        EXPECT_LE(std::int64_t{out.width} * out.height, max_pixels) << w << "x" << h;
      }
    }
  }
}

TEST(BestCanvas, MostPixelsThenLeastWaste) {
  const Size canvases[] = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
  EXPECT_EQ(best_canvas({2000, 2000}, canvases), (Size{672, 672}));
  EXPECT_EQ(best_canvas({3000, 1000}, canvases), (Size{1008, 336}));
  EXPECT_EQ(best_canvas({400, 300}, canvases), (Size{672, 336}));  // all pixels fit; the smaller canvas wastes less
  EXPECT_EQ(best_canvas({65535, 1}, canvases), (Size{336, 672}));  // scaled height 0 everywhere: the first smallest
}

TEST(ClosestCanvas, RatioThenPixels) {
  const std::vector<Size> grids = tile_grids(1, 4, 100);
  EXPECT_EQ(grids.size(), 1u + 2u + 2u + 3u);
  EXPECT_EQ(grids.front(), (Size{100, 100}));
  EXPECT_EQ(grids[1], (Size{100, 200}));
  EXPECT_EQ(closest_canvas({1000, 60}, grids), (Size{400, 100}));
  EXPECT_EQ(closest_canvas({60, 1000}, grids), (Size{100, 400}));
  EXPECT_EQ(closest_canvas({100, 100}, grids), (Size{100, 100}));  // would fill a quarter of 2 x 2 tiles
  EXPECT_EQ(closest_canvas({150, 150}, grids), (Size{200, 200}));  // fills more than half of them
  EXPECT_EQ(closest_canvas({1 << 30, 1}, grids), (Size{400, 100}));
}

}  // namespace
}  // namespace mtmd::image
