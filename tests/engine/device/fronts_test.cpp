// The fronts refuse wrong shapes with the op's name and the shapes; the workspace hands out what it promises.
#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/device/device_fixture.h"

namespace mtmd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <class F>
std::string refusal(F f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::internal) << e.what();
    return e.what();
  }
  return "accepted";
}

struct Fronts : testing::Test {
  std::unique_ptr<Device> device = make_device("reference");
  Matrix a = Matrix::random(3, 4, 1), b = Matrix::random(2, 4, 2), c = Matrix::random(3, 6, 3);
  std::vector<float> memory = std::vector<float>(64);
  Weight w{DType::F32, reinterpret_cast<const std::byte*>(memory.data()), 6, 4, 1};
};

TEST_F(Fronts, NameOpAndShapes) {
  EXPECT_THAT(refusal([&] { device->add(a.view, a.view, b.view); }),
              AllOf(HasSubstr("add"), HasSubstr("[3, 4]"), HasSubstr("[2, 4]")));
  EXPECT_THAT(refusal([&] { device->copy(c.view, a.view); }), AllOf(HasSubstr("copy"), HasSubstr("[3, 6]")));
  EXPECT_THAT(refusal([&] { device->rms_norm(a.view, a.view, std::vector<float>(3), 0.0f); }), HasSubstr("rms_norm"));
  EXPECT_THAT(refusal([&] { device->matmul(a.view, w, c.view); }), AllOf(HasSubstr("matmul"), HasSubstr("F32 [6, 4]")));
  EXPECT_THAT(refusal([&] { device->matmul(c.view, w, a.view, {.bias = std::vector<float>(5)}); }), HasSubstr("bias"));
  EXPECT_THAT(refusal([&] { device->matmul(c.view, w, {c.view.data + 6, 3, 4, 6}); }), HasSubstr("overlaps"));
  EXPECT_THAT(refusal([&] { device->get_rows(a.view, w, std::vector<std::int32_t>{0, 6, 1}); }), HasSubstr("no row 6"));
  EXPECT_THAT(refusal([&] { device->scale({nullptr, 3, 4}, a.view, 1.0f); }), HasSubstr("not a valid view"));
  EXPECT_THAT(refusal([&] { device->rope(a.view, 3, {}, RopePairs::halves); }), HasSubstr("rope"));
  const std::vector<KeyRange> ranges(3, KeyRange{0, 9});
  Matrix y(3, 4);
  const auto attend = [&](Tensor k, const AttentionOptions& o) {
    return refusal([&] { device->attention(y.view, a.view, k, k, ranges, o); });
  };
  EXPECT_THAT(attend(c.view, {2, 2, 2, 2}), AllOf(HasSubstr("attention"), HasSubstr("[3, 6]")));
  EXPECT_THAT(attend(c.view.cols_at(0, 4), {2, 2, 2, 2}), HasSubstr("[0, 9) of 3"));
  EXPECT_THAT(attend(b.view, {3, 2, 2, 2}), HasSubstr("3 heads over 2 kv heads"));
}

TEST_F(Fronts, ColumnsOfOneMatrixDoNotOverlap) {
  Matrix wide = Matrix::random(3, 10, 4);
  EXPECT_EQ(refusal([&] { device->matmul(wide.view.cols_at(4, 6), w, wide.view.cols_at(0, 4)); }), "accepted");
  EXPECT_THAT(refusal([&] { device->matmul(wide.view.cols_at(3, 6), w, wide.view.cols_at(0, 4)); }),
              HasSubstr("overlaps"));
}

TEST_F(Fronts, CacheIsChecked) {
  KvLayer kv{DType::Q8_0, nullptr, nullptr, 4, 2, 32, 32};
  const auto bytes = device->allocate(8 * row_bytes(DType::Q8_0, 32));
  kv.k = kv.v = bytes.get();
  Matrix rows = Matrix::random(1, 32, 5), y(1, 32);
  const std::vector<std::int32_t> blocks = {1, 2};
  const auto attend = [&](KeyRange range) {
    const std::vector<PagedQuery> queries = {{blocks, range}};
    return refusal([&] { device->attention(y.view, rows.view, kv, queries, {1, 1, 32, 32}); });
  };
  EXPECT_EQ(attend({0, 4}), "accepted");
  EXPECT_THAT(attend({0, 5}), HasSubstr("no block 2"));
  EXPECT_THAT(attend({0, 9}), HasSubstr("[0, 9)"));
  EXPECT_THAT(refusal([&] { device->kv_store(kv, rows.view, rows.view, std::vector<std::int64_t>{8}); }),
              HasSubstr("no row 8"));
  kv.key_cols = 33;
  EXPECT_THAT(attend({0, 4}), HasSubstr("whole Q8_0 blocks"));
}

TEST(Devices, UnknownNamesAreRefused) {
  EXPECT_THROW(make_device("toaster"), Error);
  EXPECT_THROW(make_device("cpu", {.isa = "mmx"}), Error);
  EXPECT_EQ(make_device("cpu", {.threads = 3})->info().threads, 3);
}

TEST(Workspaces, ScopesGiveBack) {
  const auto device = make_device("reference");
  Workspace ws(*device);
  const Tensor outer = ws.tensor(3, 5);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(outer.data) % 64, 0u);
  float* first = nullptr;
  for (int layer = 0; layer < 3; ++layer) {
    const Workspace::Scope scope(ws);
    const Tensor small = ws.tensor(1, 7), large = ws.tensor(1000, 1000);  // more than one chunk holds
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(small.data) % 64, 0u);
    if (layer == 0) first = large.data;
    EXPECT_EQ(large.data, first);
    EXPECT_NE(small.data, outer.data);
    large.data[999999] = 1.0f;
  }
  EXPECT_GE(ws.peak_bytes(), 4000000u);
  ws.reset();
  EXPECT_EQ(ws.tensor(0, 5).size(), 0);
  ws.tensor(1000, 1000).data[999999] = 1.0f;
}

TEST(Workspaces, AbsurdSizesAreRefused) {
  const auto device = make_device("reference");
  Workspace ws(*device);
  EXPECT_THROW(ws.tensor(std::int64_t{1} << 40, std::int64_t{1} << 40), Error);
  EXPECT_THROW(ws.tensor(std::int64_t{1} << 30, std::int64_t{1} << 25), Error);
  EXPECT_THROW(ws.tensor(-1, 4), Error);
}

}  // namespace
}  // namespace mtmd::test
