// Properties of every format in the table; exact values are checked by the conformance runner on recorded blocks.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "engine/quant/quant.h"

namespace mtmd::quant {
namespace {

std::int64_t block(const Format& f) { return info(f.type).block_size; }

std::vector<float> decode(const Format& f, std::span<const std::byte> bytes, std::int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n), 777.0f);
  f.decode(bytes.data(), values.data(), n);
  return values;
}

std::vector<std::byte> encode(const Format& f, std::span<const float> values) {
  std::vector<std::byte> bytes(row_bytes(f.type, static_cast<std::int64_t>(values.size())), std::byte{0xaa});
  f.encode(values.data(), bytes.data(), static_cast<std::int64_t>(values.size()), nullptr, Effort::standard);
  return bytes;
}

std::vector<float> gaussian(std::size_t n, unsigned seed, float size = 1) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0, size);
  std::vector<float> v(n);
  for (float& x : v) x = normal(rng);
  return v;
}

TEST(Formats, TheTableIsSound) {
  std::size_t n_types = 0;
  for (const DTypeInfo& t : all_dtypes()) n_types += find(t.type) != nullptr;
  EXPECT_EQ(n_types, all().size());
  for (const Format& f : all()) {
    EXPECT_EQ(find(f.type), &f);
    EXPECT_NE(f.decode, nullptr);
  }
  for (const DType whole : {DType::I8, DType::I16, DType::I32, DType::I64}) EXPECT_EQ(find(whole), nullptr);
  EXPECT_EQ(find(static_cast<DType>(4096)), nullptr);
}

/// Any bytes decode to something, and a block does not depend on its neighbours. (With the sanitizers: nothing is read
/// or written outside.)
TEST(Formats, BlocksAreIndependentAndAnyBytesDecode) {
  std::mt19937 rng(3);
  for (const Format& f : all()) {
    const DTypeInfo& t = info(f.type);
    constexpr std::int64_t n_blocks = 50;
    std::vector<std::byte> bytes(static_cast<std::size_t>(n_blocks) * t.block_bytes);
    for (std::byte& b : bytes) b = static_cast<std::byte>(rng());
    const auto whole = decode(f, bytes, n_blocks * t.block_size);
    for (std::int64_t b = 0; b < n_blocks; ++b) {
      const auto part =
          decode(f, std::span(bytes).subspan(static_cast<std::size_t>(b) * t.block_bytes, t.block_bytes), t.block_size);
      ASSERT_EQ(std::memcmp(part.data(), whole.data() + b * t.block_size, part.size() * 4), 0) << name(f.type);
    }
    f.decode(nullptr, nullptr, 0);
    if (f.encode) f.encode(nullptr, nullptr, 0, nullptr, Effort::standard);
  }
}

/// Rounding error of a block, in units of its largest magnitude (of its range for the formats with an offset).
double tolerance(DType type) {
  switch (type) {
    case DType::F32:
      return 0;
    case DType::F16:
      return 0x1p-11;
    case DType::BF16:
      return 0x1p-8;
    case DType::Q8_0:
    case DType::Q8_1:
    case DType::Q8_K:
      return 0.5 / 127 + 0x1p-11;
    // The largest magnitude lies at one end of the levels; the other end is one level short.
    case DType::Q4_0:
      return 1.0 / 8 + 0x1p-11;
    case DType::Q5_0:
      return 1.0 / 16 + 0x1p-11;
    case DType::Q4_1:
      return 2 * (0.5 / 15 + 0x1p-11);
    case DType::Q5_1:
      return 2 * (0.5 / 31 + 0x1p-11);
    default:
      return -1;
  }
}

TEST(Formats, EncodingIsAsExactAsTheFormat) {
  for (const Format& f : all()) {
    if (!f.encode) continue;
    const double bound = tolerance(f.type);
    if (bound < 0) continue;  // searched: see encode_test.cpp
    const auto step = static_cast<std::size_t>(std::max<std::int64_t>(block(f), 32));
    for (const float size : {1.0f, 0.05f, 300.0f}) {  // the scales are normal halves
      const auto values = gaussian(20 * step, 4, size);
      const auto got = decode(f, encode(f, values), static_cast<std::int64_t>(values.size()));
      for (std::size_t b = 0; b < values.size(); b += step) {
        double largest = 0;
        for (std::size_t i = b; i < b + step; ++i) largest = std::max(largest, std::fabs(double{values[i]}));
        for (std::size_t i = b; i < b + step; ++i)
          ASSERT_LE(std::fabs(double{got[i]} - values[i]), bound * largest * 1.0001) << name(f.type) << " " << i;
      }
    }
  }
}

TEST(Formats, ZerosStayZeros) {
  for (const Format& f : all()) {
    if (!f.encode) continue;
    const std::vector<float> zeros(static_cast<std::size_t>(2 * block(f)));
    for (const float v : decode(f, encode(f, zeros), 2 * block(f))) EXPECT_EQ(v, 0.0f) << name(f.type);
  }
}

/// Values that a format can represent come back unchanged.
TEST(Formats, EncodingWhatWasDecodedChangesNothing) {
  for (const DType type : {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_1, DType::Q5_1}) {
    const Format& f = *find(type);
    // A power of two as scale, so that d and its inverse are exact, and levels that reach both ends.
    std::vector<float> values(static_cast<std::size_t>(std::max<std::int64_t>(block(f), 32)));
    const int levels = type == DType::Q4_1 ? 15 : type == DType::Q5_1 ? 31 : 254;
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(static_cast<int>(i * 8 % static_cast<unsigned>(levels)) - levels / 2) * 0.25f;
    values[0] = static_cast<float>(-(levels / 2)) * 0.25f;
    values[1] = static_cast<float>(levels - levels / 2) * 0.25f;
    EXPECT_EQ(decode(f, encode(f, values), static_cast<std::int64_t>(values.size())), values) << name(type);
  }
}

/// Encoders get whatever a file holds; with UBSan this proves that no conversion overflows.
TEST(Formats, HostileValuesDoNotBreakTheEncoders) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float huge = std::numeric_limits<float>::max(), tiny = std::numeric_limits<float>::denorm_min();
  for (const Format& f : all()) {
    if (!f.encode) continue;
    for (const float special : {inf, -inf, nan, huge, -huge, tiny, -tiny}) {
      for (const std::size_t at : {std::size_t{0}, static_cast<std::size_t>(block(f) - 1)}) {
        auto values = gaussian(static_cast<std::size_t>(block(f)), 5);
        values[at] = special;
        const auto bytes = encode(f, values);
        decode(f, bytes, block(f));
      }
    }
    const std::vector<float> all_tiny(static_cast<std::size_t>(block(f)), tiny);
    for (const float v : decode(f, encode(f, all_tiny), block(f))) EXPECT_LE(std::fabs(v), 1e-38f) << name(f.type);
  }
}

TEST(Formats, TheSumsOfTheActivationFormatsAreRight) {
  const auto values = gaussian(512, 6);
  const auto q8_k = encode(*find(DType::Q8_K), values);
  for (int b = 0; b < 2; ++b)
    for (int g = 0; g < 16; ++g) {
      int sum = 0;
      for (int j = 0; j < 16; ++j)
        sum += static_cast<std::int8_t>(q8_k[static_cast<std::size_t>(292 * b + 4 + 16 * g + j)]);
      std::int16_t stored;
      std::memcpy(&stored, q8_k.data() + 292 * b + 260 + 2 * g, 2);
      EXPECT_EQ(stored, sum);
    }
  const Format& f = *find(DType::Q8_1);
  const auto q8_1 = encode(f, values);
  const auto decoded = decode(f, q8_1, 512);
  for (std::size_t b = 0; b < 16; ++b) {
    double sum = 0;
    for (std::size_t j = 0; j < 32; ++j) sum += decoded[32 * b + j];
    std::uint16_t s;
    std::memcpy(&s, q8_1.data() + 36 * b + 2, 2);
    EXPECT_NEAR(f16_to_f32(s), sum, std::fabs(sum) * 0x1p-10 + 1e-5);
  }
}

}  // namespace
}  // namespace mtmd::quant
