// Half precision and bfloat16 against their definition, evaluated in double precision.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "engine/quant/quant.h"

namespace mtmd::quant {
namespace {

/// IEEE 754-2008, section 3.4: sign, 5 bits of exponent (bias 15), 10 bits of fraction.
double half_by_definition(std::uint16_t h) {
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  const double sign = (h & 0x8000) ? -1 : 1;
  if (exponent == 31) return fraction ? std::nan("") : sign * HUGE_VAL;
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

TEST(Half, EveryHalfWidensExactly) {
  for (unsigned h = 0; h < 65536; ++h) {
    const double want = half_by_definition(static_cast<std::uint16_t>(h));
    const float got = f16_to_f32(static_cast<std::uint16_t>(h));
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(got)) << h;
    } else {
      EXPECT_EQ(got, want) << h;
      EXPECT_EQ(std::signbit(got), (h & 0x8000) != 0) << h;
      EXPECT_EQ(f32_to_f16(got), h);
    }
  }
}

/// Nearest half to a finite v >= 0, ties to the even bit pattern; from 65520 on, infinity.
std::uint16_t nearest_by_definition(double v) {
  unsigned low = 0, high = 0x7c00;  // half(low) <= v
  while (high - low > 1) {
    const unsigned mid = (low + high) / 2;
    (half_by_definition(static_cast<std::uint16_t>(mid)) <= v ? low : high) = mid;
  }
  const double below = half_by_definition(static_cast<std::uint16_t>(low));
  const double above = high == 0x7c00 ? 65536 : half_by_definition(static_cast<std::uint16_t>(high));
  if (v - below == above - v) return static_cast<std::uint16_t>(low % 2 ? high : low);
  return static_cast<std::uint16_t>(v - below < above - v ? low : high);
}

TEST(Half, NarrowingRoundsToNearestEven) {
  std::vector<float> values = {0,    1,        65504,    65519.996f,      65520,    65536,
                               1e9f, 0x1p-24f, 0x1p-25f, 0x1.000002p-25f, 0x1p-149f};
  for (unsigned h = 0; h < 0x7c00; ++h) {  // every tie and its neighbours
    const double tie =
        (half_by_definition(static_cast<std::uint16_t>(h)) + half_by_definition(static_cast<std::uint16_t>(h + 1))) / 2;
    if (!std::isfinite(tie)) continue;
    const auto t = static_cast<float>(tie);
    for (const float v : {std::nextafter(t, 0.0f), t, std::nextafter(t, 1e9f)}) values.push_back(v);
  }
  std::mt19937 rng(1);
  for (int i = 0; i < 200000; ++i) {
    const float v = std::bit_cast<float>(static_cast<std::uint32_t>(rng()) & 0x7fffffffu);
    if (std::isfinite(v)) values.push_back(v);
  }
  for (const float v : values) {
    const std::uint16_t want = nearest_by_definition(v);
    ASSERT_EQ(f32_to_f16(v), want) << v;
    ASSERT_EQ(f32_to_f16(-v), want | 0x8000) << v;
  }
}

TEST(Half, NotNumbersStayWhatTheyAre) {
  for (const std::uint32_t bits : {0x7f800001u, 0x7fc00000u, 0xffffffffu, 0xff800001u}) {
    const float nan = std::bit_cast<float>(bits);
    EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(nan))));
    EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(nan))));
    EXPECT_EQ(f32_to_f16(nan) >> 15, bits >> 31);
  }
  EXPECT_EQ(f32_to_f16(HUGE_VALF), 0x7c00);
  EXPECT_EQ(f32_to_bf16(-HUGE_VALF), 0xff80);
}

TEST(Bfloat16, NarrowingRoundsToNearestEven) {
  std::mt19937 rng(2);
  for (int i = 0; i < 200000; ++i) {
    const auto bits = static_cast<std::uint32_t>(rng()) & (i % 3 ? 0xffffffffu : 0xffff8000u);
    const float v = std::bit_cast<float>(bits);
    if (!std::isfinite(v)) continue;
    const auto low = static_cast<std::uint16_t>(bits >> 16);  // towards zero
    const std::uint32_t rest = bits & 0xffffu;
    const bool up = rest > 0x8000u || (rest == 0x8000u && (low & 1));
    ASSERT_EQ(f32_to_bf16(v), static_cast<std::uint16_t>(low + up)) << v;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(bf16_to_f32(low)), bits & 0xffff0000u);
  }
}

}  // namespace
}  // namespace mtmd::quant
