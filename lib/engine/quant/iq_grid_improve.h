// What Effort::best adds to the grid types: scales and codebook entries are chosen with the levels and the rounded
// scales that the decoder uses, and with the weights of the error itself. For a given block scale each sub-block takes
// the best of all its scales; then the block scale is fitted to that by least squares, a few times, from several
// starts; at last every run is compared with the whole codebook.
#pragma once

#include "engine/quant/improve.h"
#include "engine/quant/iq_grid_search.h"

namespace mtmd::quant::ISA {
namespace {

template <GridType T>
class GridImprover {
 public:
  /// x: the values of a block; importance: their weights or null.
  GridImprover(const GridTable& table, const float* x, const float* importance) : table_(table) {
    constexpr int n = T.width == 8 ? 4 : 8;
    for (int i = 0; i < kWide; ++i) levels_[i] = level(i % n);
    std::memcpy(x_, x, kBlock * sizeof(float));
    for (int i = 0; i < kBlock; ++i) w_[i] = importance ? importance[i] : 1.0f;
    for (int r = 0; r < kBlock / 8; ++r) signs_[r] = take_signs(x_ + 8 * r);
  }

  /// Searches from `scale`, a half-precision number, and leaves the result in the members below.
  void search(float scale) {
    d = scale;
    for (int g = 0; g < kGroups; ++g) s[g] = 7;
    for (int round = 0; round < 2; ++round) {
      choose_scales();
      refit();
    }
    for (int r = 0; r < kBlock / 8; ++r)
      if (T.even_signs && (__builtin_popcount(signs_[r]) & 1)) turn_best_sign(r);
    for (int r = 0; r < kBlock / T.width; ++r) compare_all(r);
    refit();
  }

  float d = 0;
  int s[kBlock / 16] = {};
  Prepared result = {};  ///< signs only
  Choice choice = {};    ///< codes only

 private:
  static constexpr int kGroups = kBlock / T.values, kRuns = T.values / T.width;

  static constexpr float level(int number) {
    constexpr float two[] = {8, 25, 43, 43}, three[] = {4, 12, 20, 28, 36, 44, 52, 62};
    if (T.width == 8) return two[number];
    return T.even_signs ? three[number] : static_cast<float>(2 * number + 1);
  }
  float scale_of(int number) const { return d * (0.5f + static_cast<float>(number)) * T.unit; }
  static int level_number(float v) {
    int number = 0;
    for (int l = 0; l + 1 < T.levels; ++l) number += v > (level(l) + level(l + 1)) / 2;
    return number;
  }

  /// Magnitudes of eight values with their stored signs: where these must be even and are not, the value whose sign
  /// costs least is turned. -> signs
  unsigned signed_run(int r, float scale, float* x) const {
    std::memcpy(x, x_ + 8 * r, 8 * sizeof(float));
    unsigned signs = signs_[r];
    if (!T.even_signs || !(__builtin_popcount(signs) & 1)) return signs;
    int least = 0;
    float cost = __builtin_inff();
    for (int i = 0; i < 8; ++i) {
      const float q = scale * level(0), c = w_[8 * r + i] * x[i] * (x[i] > q ? x[i] : q);
      if (c < cost) {
        cost = c;
        least = i;
      }
    }
    x[least] = -x[least];
    return signs ^ 1u << least;
  }

  void choose_scales() {
    for (int g = 0; g < kGroups; ++g) {
      const float before = scale_of(s[g]);
      for (int r = T.values / 8 * g; r < T.values / 8 * (g + 1); ++r)
        result.signs[r] = static_cast<std::uint8_t>(signed_run(r, before, result.x + 8 * r));
      choose_scale(g);
    }
  }

  /// One scale number in each lane.
  void choose_scale(int g) {
    const Ints16 number = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const Floats16 scale = d * (0.5f + floats16(number)) * T.unit, inverse = 1.0f / scale;
    alignas(64) float scales[kWide];
    alignas(64) std::int32_t codes[kRuns][kWide];
    store16(scales, scale);
    Floats16 error = {};
    for (int k = 0; k < kRuns; ++k) {
      const float* x = result.x + T.values * g + T.width * k;
      const float* w = w_ + T.values * g + T.width * k;
      Ints16 pattern = {};
      for (int i = 0; i < T.width; ++i) pattern |= level_numbers(inverse * x[i]) << (T.width == 8 ? 2 : 3) * i;
      store16(codes[k], pattern);
      const Terms<T.width> spread_x = spread<T.width>(x), spread_w = spread<T.width>(w);
      for (int lane = 0; lane < kWide; ++lane)
        codes[k][lane] = static_cast<std::int32_t>(
            take_to_grid<T>(table_, static_cast<unsigned>(codes[k][lane]), scales[lane], spread_x, spread_w, levels_));
      Ints16 code;
      std::memcpy(&code, codes[k], sizeof code);
      for (int i = 0; i < T.width; ++i) {
        const Floats16 difference = scale * decoded(code, i) - x[i];
        error += w[i] * difference * difference;
      }
    }
    alignas(64) float errors[kWide];
    store16(errors, error);
    int best = 0;
    for (int lane = 1; lane < kWide; ++lane)
      if (errors[lane] < errors[best]) best = lane;
    s[g] = best;
    for (int k = 0; k < kRuns; ++k) choice.codes[kRuns * g + k] = static_cast<std::uint16_t>(codes[k][best]);
  }

  MTMD_INLINE static Ints16 level_numbers(Floats16 v) {
    Ints16 number = {};
    for (int l = 0; l + 1 < T.levels; ++l) number -= v > (level(l) + level(l + 1)) / 2;
    return number;
  }
  MTMD_INLINE Floats16 decoded(Ints16 codes, int i) const {
#if defined(MTMD_ISA_avx512)
    return level_values<T>(codes, i, levels_);
#else
    return lookup16(levels_, T.width == 8 ? codes >> 2 * i & 3 : codes >> 4 * i & 7);
#endif
  }

  /// d by least squares, in half precision.
  void refit() {
    float sum_qx = 0, sum_q2 = 0;
    for (int i = 0; i < kBlock; ++i) {
      const float q = (0.5f + static_cast<float>(s[i / T.values])) * T.unit *
                      level(level_of<T>(choice.codes[i / T.width], i % T.width));
      sum_qx += w_[i] * q * result.x[i];
      sum_q2 += w_[i] * q * q;
    }
    if (!(sum_q2 > 0)) return;
    const float fitted = widened(narrowed(sum_qx / sum_q2));
    if (fitted > 0) d = fitted;
  }

  float run_error(const float* x, const float* w, unsigned code, float scale) const {
    float sum = 0;
    for (int i = 0; i < T.width; ++i) {
      const float difference = scale * level(level_of<T>(code, i)) - x[i];
      sum += w[i] * difference * difference;
    }
    return sum;
  }

  unsigned rounded(const float* x, float inverse) const {
    unsigned pattern = 0;
    for (int i = 0; i < T.width; ++i)
      pattern |= static_cast<unsigned>(level_number(inverse * x[i])) << (T.width == 8 ? 2 : 3) * i;
    return pattern;
  }

  /// The best entry of the whole codebook for run r at its scale.
  void compare_all(int r) {
    const float scale = scale_of(s[r * T.width / T.values]), inverse = 1 / scale;
    float* x = result.x + T.width * r;
    const float* w = w_ + T.width * r;
    const std::uint32_t entry = table_.entries[rounded(x, inverse)];
    const int index =
        entry & GridTable::kOnGrid
            ? static_cast<int>(entry & 0xffffu)
            : smallest_sum<T.width>(table_.codes, table_.size / kWide,
                                    error_terms<T.width>(spread<T.width>(x), spread<T.width>(w), levels_, scale));
    choice.codes[r] = table_.codes[index];
  }

  /// Error of run r, eight values or half of them, with its best entry among those near it.
  float near_error(const float* x, const float* w, float scale) const {
    const unsigned code =
        take_to_grid<T>(table_, rounded(x, 1 / scale), scale, spread<T.width>(x), spread<T.width>(w), levels_);
    return run_error(x, w, code, scale);
  }

  /// Which of eight values bears the wrong sign at the least cost.
  void turn_best_sign(int r) {
    const float scale = scale_of(s[8 * r / T.values]);
    float* x = result.x + 8 * r;
    std::memcpy(x, x_ + 8 * r, 8 * sizeof(float));
    int best = 0;
    float least = __builtin_inff();
    for (int i = 0; i < 8; ++i) {
      const int run = i / T.width * T.width;
      const float before = near_error(x + run, w_ + 8 * r + run, scale);
      x[i] = -x[i];
      const float more = near_error(x + run, w_ + 8 * r + run, scale) - before;
      x[i] = -x[i];
      if (more < least) {
        least = more;
        best = i;
      }
    }
    x[best] = -x[best];
    result.signs[r] = static_cast<std::uint8_t>(signs_[r] ^ 1u << best);
  }

  const GridTable& table_;
  Floats16 levels_;
  float x_[kBlock + kWide] = {}, w_[kBlock + kWide] = {};
  unsigned signs_[kBlock / 8];
};

/// Replaces `block` by something better, if that is found.
template <GridType T, class Pack>
void improve_block(const GridTable& table, const float* x, const float* importance, float d, Decode* decode, Pack pack,
                   std::byte* block) {
  GridImprover<T> improver(table, x, importance);
  constexpr float starts[] = {1.0f, 0.93f, 1.07f};
  for (const float start : starts) {
    improver.search(widened(narrowed(start * d)));
    std::byte candidate[T.bytes] = {};
    pack(table, improver.result, improver.choice, improver.s, improver.d, candidate);
    keep_better<T.bytes>(decode, candidate, x, importance, kBlock, block);
  }
}

/// Calls pack(codebook, signs, codes, scale numbers, block scale, block) for every block that is not all zero; those
/// are bytes of 0.
template <GridType T, class Pack>
MTMD_INLINE void for_each_block(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort,
                                Decode* decode, Pack pack) {
  const GridTable& table = grid_table(T.codebook);
  Prepared p = {};
  Choice c = {};
  for (std::uint16_t& code : c.codes) code = T.width == 8 ? 0 : kLowestFour;
  for (; n > 0; n -= kBlock, x += kBlock, b += T.bytes) {
    std::memset(b, 0, T.bytes);
    prepare<T>(x, importance, p);
    float starts[kBlock / 32], d;
    int s[kBlock / 16];
    if constexpr (T.positive_start) positive_scales(p.x, p.weight, 4, T.tiny, starts);
    choose_block<T>(table, p, T.positive_start ? starts : nullptr, c);
    if (round_scales<T>(c, d, s)) {
      pack(table, p, c, s, d * T.fudge, b);
      if (effort == Effort::best) improve_block<T>(table, x, importance, d * T.fudge, decode, pack, b);
    }
    if (importance) importance += kBlock;
  }
}

}  // namespace
}  // namespace mtmd::quant::ISA
