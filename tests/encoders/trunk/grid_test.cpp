// Windows, resized position tables, rotation of parts of heads, rows between rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "encoders/trunk/positions.h"
#include "encoders/trunk/windows.h"
#include "engine/gguf/writer.h"

namespace mtmd::encoders {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

TEST(Windows, CellsWindowByWindow) {
  const Windows w = make_windows(3, 2, 2, 1);  // two columns, then the one that is left
  EXPECT_THAT(w.patches, ElementsAre(0, 1, 3, 4, 2, 5));
  EXPECT_THAT(w.inverse, ElementsAre(0, 1, 4, 2, 3, 5));
  EXPECT_EQ(w.ranges[3].begin, 0);
  EXPECT_EQ(w.ranges[3].end, 4);
  EXPECT_EQ(w.ranges[5].begin, 4);
  EXPECT_EQ(w.ranges[5].end, 6);
}

TEST(Windows, PatchesOfACellStayTogether) {
  const Windows w = make_windows(2, 1, 1, 2);  // 4 x 2 patches
  EXPECT_THAT(w.patches, ElementsAre(0, 1, 4, 5, 2, 3, 6, 7));
  const auto twice = repeated(w.ranges, 2);
  ASSERT_EQ(twice.size(), 16u);
  EXPECT_EQ(twice[15].begin, 12);
  EXPECT_EQ(twice[15].end, 16);
}

/// A file with a table of positions; `dims` outermost first.
struct TableFile {
  std::vector<float> values;
  std::vector<std::byte> bytes;
  std::unique_ptr<gguf::File> file;
  std::unique_ptr<gguf::Weights> weights;

  TableFile(std::vector<std::int64_t> dims, std::vector<float> v) : values(std::move(v)) {
    gguf::Writer writer;
    writer.set("general.architecture", "clip");
    writer.add_tensor("v.position_embd.weight", DType::F32, std::move(dims), std::as_bytes(std::span(values)));
    bytes = writer.to_memory();
    file = std::make_unique<gguf::File>(gguf::File::from_memory(bytes, "table.gguf"));
    weights = std::make_unique<gguf::Weights>(*file);
  }
  PositionTable table(TableResize how) const { return PositionTable(*weights, 1, how); }
};

constexpr TableResize kAll[] = {TableResize::antialias, TableResize::align_corners, TableResize::bicubic,
                                TableResize::tenth_more};

TEST(PositionTable, ConstantsStay) {
  const TableFile file({4, 1}, std::vector<float>(4, 3.5f));
  for (const TableResize how : kAll) {
    for (const int side : {1, 2, 3, 5, 17})
      for (const float v : file.table(how).resized(side, 7)) EXPECT_NEAR(v, 3.5f, 1e-5f);
  }
}

TEST(PositionTable, ItsOwnSizeIsItself) {
  std::vector<float> values(9);
  std::iota(values.begin(), values.end(), 1.0f);
  const TableFile file({9, 1}, values);
  for (const TableResize how : {TableResize::antialias, TableResize::align_corners, TableResize::bicubic})
    EXPECT_THAT(file.table(how).resized(3, 3), Pointwise(FloatNear(1e-6f), values));
}

TEST(PositionTable, RowsAndColumnsOfTheFile) {
  const TableFile file({2, 3, 1}, {0, 1, 2, 10, 11, 12});  // a column is 1, a row is 10
  EXPECT_THAT(file.table(TableResize::bicubic).resized(3, 2), ElementsAre(0, 1, 2, 10, 11, 12));
  EXPECT_THAT(file.table(TableResize::align_corners).resized(2, 3), ElementsAre(0, 2, 5, 7, 10, 12));
}

TEST(PositionTable, CubicOfAStep) {
  const TableFile file({4, 4, 1}, {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1});
  const std::vector<float> wide = file.table(TableResize::bicubic).resized(8, 4);
  // Halfway between the pixels 1 and 2 lie 3 (t = 0.25) and 4 (t = 0.75); weights of the Keys kernel with a = -0.75.
  const float t = 0.25f, a = -0.75f;
  const auto far = [&](float x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
  const auto near = [&](float x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
  EXPECT_NEAR(wide[3], near(1 - t) + far(2 - t), 1e-6f);
  EXPECT_NEAR(wide[4], 1 - wide[3], 1e-6f);
}

TEST(PositionTable, ATenthMoreReachesLessFar) {
  std::vector<float> line(16);
  for (std::size_t i = 0; i < line.size(); ++i) line[i] = static_cast<float>(i % 4);
  const TableFile file({16, 1}, line);
  const std::vector<float> out = file.table(TableResize::tenth_more).resized(8, 1);
  for (int i = 0; i < 8; ++i)
    EXPECT_NEAR(out[static_cast<std::size_t>(i)],
                std::clamp((static_cast<float>(i) + 0.5f) * 4 / 8.1f - 0.5f, 0.0f, 3.0f), 1e-5f);
}

TEST(RotatePart, OnlyThatPartOfEachHeadTurns) {
  const auto device = make_device("cpu");
  const std::vector<Position> positions = {{0, 2, 5, 0}};
  const RopeTable table = rope_axis(4, 100.0f, Axis::column, positions);
  std::vector<float> x(16);
  std::iota(x.begin(), x.end(), 1.0f);
  const std::vector<float> before = x;
  rotate_part(*device, Tensor(x.data(), 1, 16), 8, 2, table, RopePairs::halves);  // two heads of 8
  for (const std::size_t head : {0u, 8u}) {
    for (const std::size_t i : {0u, 1u, 6u, 7u}) EXPECT_EQ(x[head + i], before[head + i]);
    for (const std::size_t i : {0u, 1u}) {
      const double angle = 5 * std::pow(100.0, -2.0 * static_cast<double>(i) / 4);
      const float a = before[head + 2 + i], b = before[head + 4 + i];
      EXPECT_NEAR(x[head + 2 + i], a * std::cos(angle) - b * std::sin(angle), 1e-4);
      EXPECT_NEAR(x[head + 4 + i], a * std::sin(angle) + b * std::cos(angle), 1e-4);
    }
  }
}

TEST(EndRows, BetweenAndBehind) {
  const auto device = make_device("cpu");
  std::vector<float> x = {1, 2, 3, 4}, between(5), behind(6);
  const std::vector<float> end = {9};
  end_rows(*device, Tensor(between.data(), 5, 1), Tensor(x.data(), 4, 1), 2, end);
  end_rows(*device, Tensor(behind.data(), 6, 1), Tensor(x.data(), 4, 1), 2, end);
  EXPECT_THAT(between, ElementsAre(1, 2, 9, 3, 4));
  EXPECT_THAT(behind, ElementsAre(1, 2, 9, 3, 4, 9));
}

}  // namespace
}  // namespace mtmd::encoders
