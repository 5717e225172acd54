#include "engine/gguf/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "engine/gguf/bytes.h"
#include "engine/gguf/temp_folder.h"
#include "engine/gguf/writer.h"
#include "engine/quant/quant.h"

namespace mtmd::gguf {
namespace {

using ::testing::HasSubstr;
using testing::TempFolder;

/// One tensor [3, 2 * block] of the type, made of sound blocks (zeros where nothing encodes).
std::vector<std::byte> sound_blocks(const quant::Format& f) {
  const std::int64_t n = 6 * info(f.type).block_size;
  std::vector<std::byte> bytes(row_bytes(f.type, n));
  std::vector<float> values(static_cast<std::size_t>(n));
  std::mt19937 rng(1);
  for (float& v : values) v = std::uniform_real_distribution<float>(-1, 1)(rng);
  const std::vector<float> importance(values.size(), 1.0f);
  if (f.encode) f.encode(values.data(), bytes.data(), n, importance.data(), quant::Effort::standard);
  return bytes;
}

Verification verify_one(DType type, std::span<const std::byte> bytes, const VerifyOptions& options = {}) {
  Writer w;
  const std::array first = {1.0f};
  w.add_tensor("first", DType::F32, {1}, std::as_bytes(std::span(first)));
  w.add_tensor("t", type, {3, 2 * std::int64_t{info(type).block_size}}, bytes);
  const std::vector<std::byte> file = w.to_memory();
  return verify(File::from_memory(file, "mem"), options);
}

TEST(GgufVerify, SoundBlocksOfEveryTypePass) {
  for (const quant::Format& f : quant::all()) {
    const auto v = verify_one(f.type, sound_blocks(f));
    EXPECT_TRUE(v.sound()) << name(f.type) << ": " << (v.findings.empty() ? "" : v.findings[0].what);
    EXPECT_EQ(v.n_tensors, 2u);
    EXPECT_EQ(v.n_values, 1u + 6u * info(f.type).block_size);
    EXPECT_EQ(v.n_bytes, 4u + row_bytes(f.type, 6 * info(f.type).block_size));
  }
}

TEST(GgufVerify, DamagedScalesOfEveryTypeAreFound) {
  for (const quant::Format& f : quant::all()) {
    for (const std::int16_t at : {f.d_at, f.dmin_at}) {
      if (at < 0) continue;
      for (const std::uint16_t damage : std::to_array<std::uint16_t>({0x7e00, 0x7c00, 0xfc00})) {  // NaN, inf, -inf
        std::vector<std::byte> bytes = sound_blocks(f);
        std::memcpy(bytes.data() + 3 * info(f.type).block_bytes + at, &damage, 2);  // row 1, block 1
        const auto v = verify_one(f.type, bytes);
        ASSERT_EQ(v.findings.size(), 1u) << name(f.type) << " " << at;
        EXPECT_EQ(v.findings[0].tensor, "t");
        EXPECT_EQ(v.findings[0].row, 1);
        EXPECT_EQ(v.findings[0].block, 1);
        EXPECT_THAT(v.findings[0].what, HasSubstr(at == f.d_at ? "scale d is" : "scale dmin is"));
        EXPECT_THAT(v.findings[0].what, HasSubstr(damage == 0x7e00 ? "NaN" : "inf"));
      }
    }
  }
}

TEST(GgufVerify, TheTableKnowsWhereEveryScaleLies) {
  // Blocks whose values depend on a half-precision scale must name it; found by trying all places.
  for (const quant::Format& f : quant::all()) {
    const DTypeInfo& t = info(f.type);
    if (t.block_size == 1 || f.type == DType::Q8_K || f.type == DType::IQ1_M || f.type == DType::MXFP4 ||
        f.type == DType::NVFP4)
      continue;
    std::vector<std::int16_t> found;
    for (std::uint32_t at = 0; at + 1 < t.block_bytes; ++at) {
      std::vector<std::byte> block(t.block_bytes);
      block[at] = std::byte{0};
      block[at + 1] = std::byte{0x7c};
      std::vector<float> values(t.block_size);
      f.decode(block.data(), values.data(), t.block_size);
      if (!std::isfinite(values[0])) found.push_back(static_cast<std::int16_t>(at));
    }
    std::vector<std::int16_t> named;
    for (const std::int16_t at : {f.d_at, f.dmin_at})
      if (at >= 0) named.push_back(at);
    EXPECT_EQ(found, named) << name(f.type);
  }
}

TEST(GgufVerify, OtherScalesAreFoundByTheirValues) {
  std::vector<std::byte> mxfp4(6 * 17);
  mxfp4[2 * 17] = std::byte{255};
  mxfp4[2 * 17 + 1] = std::byte{2};
  auto v = verify_one(DType::MXFP4, mxfp4);
  ASSERT_EQ(v.findings.size(), 1u);
  EXPECT_EQ(v.findings[0].row, 1);
  EXPECT_EQ(v.findings[0].block, 0);
  std::vector<std::byte> iq1_m(6 * 56);
  iq1_m[5 * 56 + 53] = std::byte{0xc0};  // bits 10 and 11 of d
  iq1_m[5 * 56 + 55] = std::byte{0x70};  // bits 12 to 14
  v = verify_one(DType::IQ1_M, iq1_m);
  ASSERT_EQ(v.findings.size(), 1u);
  EXPECT_EQ(v.findings[0].row, 2);
  EXPECT_THAT(v.findings[0].what, HasSubstr("value 0"));
}

TEST(GgufVerify, PlainValues) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {1, nan, 2, 3, -inf, 0};
  const auto v = verify_one(DType::F32, std::as_bytes(std::span(values)));
  ASSERT_EQ(v.findings.size(), 2u);
  EXPECT_EQ(v.findings[0].row, 0);
  EXPECT_EQ(v.findings[0].block, 1);
  EXPECT_EQ(v.findings[0].what, "the value is NaN");
  EXPECT_EQ(v.findings[1].row, 2);
  EXPECT_EQ(v.findings[1].what, "the value is minus infinite");
  const std::vector<double> doubles = {1e300, 1, 1, 1, 1, std::numeric_limits<double>::infinity()};
  const auto d = verify_one(DType::F64, std::as_bytes(std::span(doubles)));
  ASSERT_EQ(d.findings.size(), 1u);
  EXPECT_EQ(d.findings[0].row, 2);
}

TEST(GgufVerify, LongRowsThreadsAndLimits) {
  std::vector<std::uint16_t> values(4 * 10000, 0x7c00);
  Writer w;
  for (const char* name : {"a", "b", "c"}) w.add_tensor(name, DType::F16, {4, 10000}, std::as_bytes(std::span(values)));
  const std::vector<std::byte> bytes = w.to_memory();
  const File f = File::from_memory(bytes, "mem");
  for (const unsigned n_threads : {1u, 2u, 8u}) {
    const auto v = verify(f, {.max_per_tensor = 2, .n_threads = n_threads});
    EXPECT_EQ(v.n_bad_blocks, 120000u);
    ASSERT_EQ(v.findings.size(), 6u);
    EXPECT_EQ(v.findings[0].tensor, "a");
    EXPECT_EQ(v.findings[5].tensor, "c");
    EXPECT_EQ(v.findings[5].block, 1);
  }
}

TEST(GgufVerify, ProgressReachesTheEndAndCanCancel) {
  const std::vector<std::byte> zeros(20 << 20);
  Writer w;
  w.add_tensor("t", DType::Q4_0, {(20 << 20) / 18 / 64, 64 * 32},
               std::span(zeros).first((20 << 20) / 18 / 64 * 64 * 18));
  const std::vector<std::byte> bytes = w.to_memory();
  const File f = File::from_memory(bytes, "mem");
  std::uint64_t last = 0, whole = 0;
  EXPECT_TRUE(verify(f, {.progress =
                             [&](std::uint64_t done, std::uint64_t total) {
                               EXPECT_GT(done, last);
                               last = done;
                               whole = total;
                               return true;
                             }})
                  .sound());
  EXPECT_EQ(last, whole);
  EXPECT_EQ(last, f.find("t")->data.size());
  const auto v = verify(f, {.progress = [](std::uint64_t, std::uint64_t) { return false; }});
  EXPECT_FALSE(v.complete);
  EXPECT_FALSE(v.sound());
  EXPECT_LT(v.n_bytes, last);
}

TEST(GgufVerify, ATruncatedFileIsAFinding) {
  const TempFolder dir;
  testing::Bytes b = testing::small_file();
  EXPECT_TRUE(verify(dir.write("whole.gguf", b.data)).sound());
  b.data.erase(b.data.end() - 5, b.data.end());
  const auto v = verify(dir.write("cut.gguf", b.data));
  ASSERT_EQ(v.findings.size(), 1u);
  EXPECT_THAT(v.findings[0].what, ::testing::AllOf(HasSubstr("'b'"), HasSubstr("is the file complete?")));
  EXPECT_THROW(verify(dir / "missing.gguf"), Error);
}

TEST(GgufVerify, TheRecordedFilesAreSound) {
  EXPECT_TRUE(verify(std::filesystem::path(MTMD_TEST_DATA) / "quant/quant.golden.gguf").sound());
}

}  // namespace
}  // namespace mtmd::gguf
