// Encoders: accuracy, the same bytes on every instruction set, odd rows. Equality with recorded bytes:
// tests/mtmd/conformance/quant.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "engine/quant/formats.h"
#include "engine/quant/rows.h"

namespace mtmd::quant {
namespace {

constexpr std::int64_t kRow = 256 * 17;  // one full batch of super-blocks on every instruction set, and a part

/// Weighted squared error; all weights 1 where there is none.
double squared_error(const Format& f, std::span<const std::byte> bytes, std::span<const float> x,
                     std::span<const float> w) {
  std::vector<float> y(x.size());
  f.decode(bytes.data(), y.data(), static_cast<std::int64_t>(y.size()));
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = double{y[i]} - x[i];
    sum += d * d * (w.empty() ? 1.0 : w[i]);
  }
  return sum;
}

std::vector<std::byte> encoded(Encode* encode, DType type, std::span<const float> x, std::span<const float> w,
                               Effort effort = Effort::standard) {
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::byte> bytes(row_bytes(type, n), std::byte{0xaa});
  encode(x.data(), bytes.data(), n, w.empty() ? nullptr : w.data(), effort);
  return bytes;
}

/// Root mean square error on a gaussian row, as a part of its own root mean square: a little above what was measured.
const std::map<DType, double> kAccuracy = {
    {DType::F32, 0},       {DType::F16, 3e-4},     {DType::BF16, 2e-3},   {DType::Q8_0, 0.006}, {DType::Q8_1, 0.006},
    {DType::Q8_K, 0.0075}, {DType::Q4_0, 0.09},    {DType::Q4_1, 0.082},  {DType::Q5_0, 0.045}, {DType::Q5_1, 0.041},
    {DType::Q2_K, 0.31},   {DType::Q3_K, 0.16},    {DType::Q4_K, 0.075},  {DType::Q5_K, 0.038}, {DType::Q6_K, 0.019},
    {DType::TQ1_0, 0.85},  {DType::TQ2_0, 0.85},   {DType::MXFP4, 0.125}, {DType::NVFP4, 0.1},  {DType::Q1_0, 0.62},
    {DType::Q2_0, 0.75},   {DType::IQ4_NL, 0.085}, {DType::IQ4_XS, 0.08}, {DType::IQ3_S, 0.17}, {DType::IQ3_XXS, 0.22},
    {DType::IQ2_S, 0.3},   {DType::IQ2_XS, 0.35},  {DType::IQ2_XXS, 0.4}, {DType::IQ1_M, 0.58}, {DType::IQ1_S, 0.55},
};

TEST(Encode, IsAccurate) {
  for (const Format& f : all()) {
    if (!f.encode) continue;
    ASSERT_TRUE(kAccuracy.contains(f.type)) << name(f.type);
    for (const float size : {1.0f, 0.05f, 300.0f}) {  // the scales are normal halves
      std::vector<float> x = row_of(Kind::gaussian, kRow, 4);
      double sum = 0;
      for (float& v : x) {
        v *= size;
        sum += double{v} * v;
      }
      const double error = squared_error(f, encoded(f.encode, f.type, x, {}), x, {});
      EXPECT_LE(std::sqrt(error / sum), kAccuracy.at(f.type)) << name(f.type) << " " << size;
    }
  }
}

/// Importance lowers the error where it is high. Not for IQ2_XXS: the reference's search also favours large values, and
/// on these rows that costs more than the weights gain.
TEST(Encode, ImportanceCounts) {
  const std::vector<float> x = row_of(Kind::gaussian, kRow, 5), w = weights_of(kRow, 6);
  for (const Format& f : all()) {
    if (!f.encode) continue;
    const auto plain = encoded(f.encode, f.type, x, {}), weighted = encoded(f.encode, f.type, x, w);
    if (f.type == DType::IQ2_XXS) {
      EXPECT_NE(plain, weighted);
    } else if (f.uses_importance) {
      EXPECT_LT(squared_error(f, weighted, x, w), squared_error(f, plain, x, w)) << name(f.type);
    } else {
      EXPECT_EQ(plain, weighted) << name(f.type);
    }
  }
}

TEST(Encode, IsTheSameOnEveryInstructionSet) {
  const std::vector<float> w = weights_of(kRow, 7);
  const std::span<const NamedEncoder> base = encoders(Isa::base);
  for (const Isa isa : runnable_isas()) {
    for (std::size_t i = 0; i < base.size(); ++i) {
      const NamedEncoder& other = encoders(isa)[i];
      ASSERT_EQ(other.type, base[i].type);
      const DType type = dtype_from_name(base[i].type).value();
      for (const Kind kind : {Kind::heavy_tails, Kind::ties, Kind::denormal, Kind::changing_scale}) {
        const std::vector<float> x = row_of(kind, kRow, 8);
        for (const Effort effort : {Effort::standard, Effort::best}) {
          if (effort == Effort::best && kind != Kind::heavy_tails) continue;  // slow
          for (const auto& weights : {std::span<const float>{}, std::span<const float>(w)})
            ASSERT_TRUE(encoded(other.encode, type, x, weights, effort) ==
                        encoded(base[i].encode, type, x, weights, effort))
                << name(isa) << " " << base[i].type << " row kind " << static_cast<int>(kind) << " importance "
                << !weights.empty() << " effort " << static_cast<int>(effort);
        }
      }
    }
  }
}

/// Blocks of one row do not depend on how many follow, except through the mean square of a row that importance needs.
TEST(Encode, RowsOfEveryLength) {
  for (const Format& f : all()) {
    if (!f.encode) continue;
    const std::int64_t step = std::max<std::int64_t>(info(f.type).block_size, 32);
    const std::vector<float> x = row_of(Kind::heavy_tails, 40 * step, 9);
    const auto whole = encoded(f.encode, f.type, x, {});
    for (const std::int64_t n : {step, 3 * step, 16 * step, 17 * step}) {
      const auto part = encoded(f.encode, f.type, std::span(x).first(static_cast<std::size_t>(n)), {});
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin())) << name(f.type) << " " << n;
    }
  }
}

/// With UBSan this proves that no conversion overflows; without, that every search ends.
TEST(Encode, OddRowsAndWeightsDoNotBreakIt) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float huge = std::numeric_limits<float>::max(), tiny = std::numeric_limits<float>::denorm_min();
  constexpr std::int64_t n = 512;
  const std::vector<float> usual = weights_of(n, 10), zero(n, 0.0f), large(n, huge);
  for (const Format& f : all()) {
    if (!f.encode) continue;
    for (const Effort effort : {Effort::standard, Effort::best})
      for (const auto& w : {std::vector<float>{}, usual, zero, large}) {
        for (const float special : {inf, -inf, nan, huge, -huge, tiny}) {
          std::vector<float> x = row_of(Kind::gaussian, n, 11);
          x[0] = x[300] = special;
          encoded(f.encode, f.type, x, w, effort);
          encoded(f.encode, f.type, std::vector<float>(n, special), w, effort);
        }
        const std::vector<float> nothing(n, 0.0f);
        EXPECT_EQ(squared_error(f, encoded(f.encode, f.type, nothing, w, effort), nothing, {}), 0) << name(f.type);
      }
  }
}

/// Q1_0: the mean magnitude is the best scale. Q8_1 and Q8_K are made from activations, in a hurry.
bool leaves_a_choice(DType type) {
  if (name(type).starts_with("IQ")) return false;  // no longer search is written for the codebooks yet
  return info(type).block_size > 1 && type != DType::Q1_0 && type != DType::Q8_1 && type != DType::Q8_K;
}

/// Never worse on any row, better on gaussian ones, for every type that leaves a choice.
TEST(Encode, TheLongerSearchIsBetter) {
  const std::vector<float> w = weights_of(kRow, 12);
  for (const Format& f : all()) {
    if (!f.encode) continue;
    for (const auto& weights : {std::span<const float>{}, std::span<const float>(w)}) {
      const std::span<const float> counted = f.uses_importance ? weights : std::span<const float>{};
      for (const Kind kind : kKinds) {
        if (kind == Kind::huge) continue;  // beyond half-precision scales: nothing to compare
        const std::vector<float> x = row_of(kind, kRow, 13);
        const double standard = squared_error(f, encoded(f.encode, f.type, x, weights), x, counted);
        const double best = squared_error(f, encoded(f.encode, f.type, x, weights, Effort::best), x, counted);
        EXPECT_LE(best, standard) << name(f.type) << " row kind " << static_cast<int>(kind);
        if (kind == Kind::gaussian && leaves_a_choice(f.type)) {
          EXPECT_LT(best, 0.998 * standard) << name(f.type) << " importance " << !counted.empty();
        }
      }
    }
  }
}

}  // namespace
}  // namespace mtmd::quant
