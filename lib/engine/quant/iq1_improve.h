// What Effort::best adds to IQ1_S and IQ1_M: for a given block scale every sub-block of N values tries all its scales
// with both shifts, one pair in each lane; the block scale is fitted to that by least squares, a few times, from
// several starts; at last every run is compared with the whole codebook.
#pragma once

#include "engine/quant/improve.h"
#include "engine/quant/iq1_split.h"

namespace mtmd::quant::ISA {
namespace {

constexpr int kBlock = 256;

/// What was chosen for a sub-block of N values.
template <int N>
struct Choice {
  float scale;
  int shifts;  ///< as in Split
  std::uint16_t index[N / 8];
};

/// Levels of run k.
template <int N>
MTMD_INLINE const float* levels_of(int shifts, int k) {
  if (N == 16) return (shifts >> (1 - k) & 1) ? kDown : kUp;
  return shifts ? kDown : kUp;
}

/// Three levels in the layout of Terms.
MTMD_INLINE Floats16 spread_levels(const float* levels) {
  Floats16 v;
  for (int i = 0; i < kWide; ++i) v[i] = levels[i % 4 < 3 ? i % 4 : 2];
  return v;
}

template <int N>
class ShiftImprover {
 public:
  static constexpr int kGroups = kBlock / N, kRuns = N / 8;

  ShiftImprover(const GridTable& table, const float* x, const float* importance) : table_(table) {
    std::memcpy(x_, x, kBlock * sizeof(float));
    for (int i = 0; i < kBlock; ++i) w_[i] = importance ? importance[i] : 1.0f;
    levels_[0] = spread_levels(kUp);
    levels_[1] = spread_levels(kDown);
  }

  /// Searches from `scale`, a half-precision number, and leaves the result in the members below.
  void search(float scale) {
    d = scale;
    for (int round = 0; round < 2; ++round) {
      for (int g = 0; g < kGroups; ++g) choose_scale(g);
      refit();
    }
    for (int g = 0; g < kGroups; ++g)
      for (int k = 0; k < kRuns; ++k) compare_all(g, k);
    refit();
  }

  float d = 0;
  int s[kGroups] = {};
  Choice<N> choice[kGroups] = {};

 private:
  /// Lanes 0 to 7: scale number 0 to 7 shifted up; 8 to 15: shifted down.
  void choose_scale(int g) {
    const Ints16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const Floats16 scale = d * floats16(2 * (lane & 7) + 1), inverse = 1.0f / scale;
    const Floats16 shift = lane < 8 ? splat16(kShift) : splat16(-kShift);
    alignas(64) float errors[kRuns][kWide];
    std::int32_t codes[kRuns][kWide];
    for (int k = 0; k < kRuns; ++k) store16(errors[k], run_errors(N * g + 8 * k, scale, inverse, shift, codes[k]));
    int best = 0, best_shifts = 0;
    float least = __builtin_inff();
    for (int number = 0; number < 8; ++number)
      for (int shifts = 0; shifts < (N == 16 ? 4 : 2); ++shifts) {
        float sum = 0;
        for (int k = 0; k < kRuns; ++k) sum += errors[k][lane_of(number, shifts, k)];
        if (sum < least) {
          least = sum;
          best = number;
          best_shifts = shifts;
        }
      }
    s[g] = best;
    choice[g].shifts = best_shifts;
    for (int k = 0; k < kRuns; ++k) set_code(g, k, static_cast<unsigned>(codes[k][lane_of(best, best_shifts, k)]));
  }

  static int lane_of(int number, int shifts, int k) { return number + (levels_of<N>(shifts, k) == kDown ? 8 : 0); }

  Floats16 run_errors(int first, Floats16 scale, Floats16 inverse, Floats16 shift, std::int32_t* codes) const {
    const float* x = x_ + first;
    const float* w = w_ + first;
    Ints16 pattern = {};
    for (int i = 0; i < 8; ++i) {
      const Floats16 v = inverse * x[i] - shift;
      pattern |= -((v > -0.5f) + (v > 0.5f)) << 2 * i;
    }
    store16(codes, pattern);
    alignas(64) float scales[kWide];
    store16(scales, scale);
    const Terms<8> spread_x = spread<8>(x), spread_w = spread<8>(w);
    for (int lane = 0; lane < kWide; ++lane) {
      const std::uint32_t entry = table_.entries[codes[lane]];
      if (entry & GridTable::kOnGrid) continue;
      const std::uint16_t* list = table_.lists + static_cast<std::size_t>(entry >> 8) * GridTable::kListUnit;
      codes[lane] = list[smallest_sum<8>(list, static_cast<int>(entry & 255u),
                                         error_terms<8>(spread_x, spread_w, levels_[lane / 8], scales[lane]))];
    }
    Ints16 code;
    std::memcpy(&code, codes, sizeof code);
    Floats16 error = {};
    for (int i = 0; i < 8; ++i) {
      const Floats16 difference = scale * (floats16((code >> 2 * i & 3) - 1) + shift) - x[i];
      error += w[i] * difference * difference;
    }
    return error;
  }

  void set_code(int g, int k, unsigned code) {
    choice[g].index[k] = static_cast<std::uint16_t>(table_.entries[code] & 0xffffu);
  }

  /// d by least squares, in half precision.
  void refit() {
    float sum_qx = 0, sum_q2 = 0;
    for (int i = 0; i < kBlock; ++i) {
      const Choice<N>& c = choice[i / N];
      const unsigned code = table_.codes[c.index[i / 8 % kRuns]];
      const float q =
          levels_of<N>(c.shifts, i / 8 % kRuns)[code >> 2 * (i % 8) & 3u] * static_cast<float>(2 * s[i / N] + 1);
      sum_qx += w_[i] * q * x_[i];
      sum_q2 += w_[i] * q * q;
    }
    if (!(sum_q2 > 0)) return;
    const float fitted = widened(narrowed(sum_qx / sum_q2));
    if (fitted > 0) d = fitted;
  }

  /// The best entry of the whole codebook for run k of sub-block g at its scale and shift.
  void compare_all(int g, int k) {
    const int down = levels_of<N>(choice[g].shifts, k) == kDown, first = N * g + 8 * k;
    const float scale = d * static_cast<float>(2 * s[g] + 1);
    choice[g].index[k] = static_cast<std::uint16_t>(
        smallest_sum<8>(table_.codes, table_.size / kWide,
                        error_terms<8>(spread<8>(x_ + first), spread<8>(w_ + first), levels_[down], scale)));
  }

  const GridTable& table_;
  Floats16 levels_[2];
  float x_[kBlock + kWide] = {}, w_[kBlock + kWide] = {};
};

/// Replaces `block` by something better, if that is found. write(choices, scale numbers, d, block)
template <int N, int Bytes, class Write>
void improve_block(const GridTable& table, const float* x, const float* importance, float d, Decode* decode,
                   Write write, std::byte* block) {
  ShiftImprover<N> improver(table, x, importance);
  constexpr float starts[] = {1.0f, 0.9f, 1.1f};
  for (const float start : starts) {
    improver.search(widened(narrowed(start * d)));
    std::byte candidate[Bytes] = {};
    write(improver.choice, improver.s, improver.d, candidate);
    keep_better<Bytes>(decode, candidate, x, importance, kBlock, block);
  }
}

}  // namespace
}  // namespace mtmd::quant::ISA
