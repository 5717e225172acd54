// The search that IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS and IQ3_S share: magnitudes are runs of four or eight out of a
// codebook, times a scale per 16 or 32 values. For each of a range of scales every run is rounded to odd levels, taken
// to the best codebook entry near it, and the scale that least squares would give decides between the candidates.
#pragma once

#include "engine/quant/formats.h"
#include "engine/quant/iq_lanes.h"
#include "engine/quant/iq_positive_scales.h"

namespace mtmd::quant::ISA {
namespace {

constexpr int kBlock = 256;

/// Which runs are rounded once more at the scale found.
enum class Repeat : std::uint8_t {
  off_grid,         ///< those that were not in the codebook
  all_if_off_grid,  ///< all, if one was not
  all
};

constexpr float kEqual = -1;

/// What tells the five formats apart.
struct GridType {
  Codebook codebook;
  int bytes;    ///< of a block
  float unit;   ///< scales are unit * (0.5 + s) times the scale of the block
  float fudge;  ///< on the block's scale before it is stored
  int width;    ///< values per codebook entry
  int values;   ///< per scale
  int levels;   ///< 1, 3, … 2 levels - 1
  int reach;    ///< candidates lie at -reach … reach steps around the scale that takes the largest value to the top
  float step;
  bool even_signs;      ///< the number of minus signs of eight values is even
  bool positive_start;  ///< the scales are those around the one of a fit with levels 0 … 4 instead
  Repeat repeat;
  float energy;        ///< weights are importance * sqrt(energy * mean square of the block + x^2)
  float plain_energy;  ///< without importance: plain_energy * (energy * the same mean) + x^2; kEqual: as if it were 1
  float tiny;          ///< magnitudes below are zero
};

constexpr GridType kIq2Xxs = {Codebook::iq2_xxs, 66,   0.25f,  1.0f,  8, 32, 3, 6, 0.1f, true, true,
                              Repeat::all,       1.0f, kEqual, 1e-15f};
constexpr GridType kIq2Xs = {Codebook::iq2_xs, 74,   0.25f,  1.0f,  8, 16, 3, 9, 0.1f, true, false,
                             Repeat::off_grid, 1.0f, kEqual, 1e-15f};
constexpr GridType kIq2S = {Codebook::iq2_s,  82,   0.25f, 0.9875f, 8, 16, 3, 9, 0.1f, false, false,
                            Repeat::off_grid, 2.0f, 0.25f, 1e-8f};
constexpr GridType kIq3Xxs = {Codebook::iq3_xxs, 98,   0.5f, 1.0125f, 4, 32, 8, 15, 0.2f, true, false,
                              Repeat::off_grid,  2.0f, 0,    1e-8f};
constexpr GridType kIq3S = {Codebook::iq3_s,         110,  2.0f, 1.033f, 4, 32, 8, 9, 0.2f, false, false,
                            Repeat::all_if_off_grid, 2.0f, 0,    0.0f};

/// A block made ready. The arrays are longer, so that whole registers can be read at every value.
struct Prepared {
  float x[kBlock + kWide];       ///< magnitudes; with even signs the least important of eight may be negative
  float weight[kBlock + kWide];  ///< of squared errors
  float root[kBlock + kWide];    ///< its square root weighs the distance of codebook entries
  std::uint8_t signs[kBlock / 8];
};

/// The codes of a block and the scales of its sub-blocks (16 or 32 values).
struct Choice {
  float scales[kBlock / 16];
  std::uint16_t codes[kBlock / 4];
  bool empty[kBlock / 16];  ///< nothing but zeros: index 0, no signs
};

constexpr std::uint16_t kLowestFour = 0x8080;  ///< code of the lowest level four times

/// Bit i: value i of the run is negative; x becomes magnitudes.
MTMD_INLINE unsigned take_signs(float* x) {
  unsigned signs = 0;
  for (int i = 0; i < 8; ++i) {
    if (!(x[i] >= 0)) {
      x[i] = -x[i];
      signs |= 1u << i;
    }
  }
  return signs;
}

/// Turns the sign that costs least.
MTMD_INLINE unsigned make_even(unsigned signs, float* x, const float* weight) {
  if (!(__builtin_popcount(signs) & 1)) return signs;
  int least = 0;
  float cost = weight[0] * x[0] * x[0];
  for (int i = 1; i < 8; ++i) {
    const float c = weight[i] * x[i] * x[i];
    if (c < cost) {
      cost = c;
      least = i;
    }
  }
  x[least] = -x[least];
  return signs ^ 1u << least;
}

/// Mean square of a block times `factor`.
MTMD_INLINE float energy_of(const float* x, float factor) {
  float sum = 0;
  for (int i = 0; i < kBlock; ++i) sum += x[i] * x[i];
  return factor * sum / kBlock;
}

template <GridType T>
void prepare(const float* x, const float* importance, Prepared& p) {
  const float energy = energy_of(x, T.energy);
  if (importance || T.plain_energy == kEqual) {
    for (int i = 0; i < kBlock; ++i)
      p.weight[i] = (importance ? importance[i] : 1.0f) * __builtin_sqrtf(energy + x[i] * x[i]);
  } else {
    for (int i = 0; i < kBlock; ++i) p.weight[i] = T.plain_energy * energy + x[i] * x[i];
  }
  for (int i = 0; i < kBlock; ++i) p.root[i] = __builtin_sqrtf(p.weight[i]);
  for (int i = 0; i < kBlock; ++i) p.x[i] = x[i];
  for (int r = 0; r < kBlock / 8; ++r) {
    unsigned signs = take_signs(p.x + 8 * r);
    if (T.even_signs) signs = make_even(signs, p.x + 8 * r, p.weight + 8 * r);
    p.signs[r] = static_cast<std::uint8_t>(signs);
  }
}

/// 1, 3, 5, … in the layout of Terms.
template <GridType T>
MTMD_INLINE Floats16 odd_levels() {
  constexpr int n = T.width == 8 ? 4 : 8;
  Floats16 v;
  for (int i = 0; i < kWide; ++i) v[i] = static_cast<float>(2 * (i % n) + 1);
  return v;
}

/// The level of value i of a run in each lane's code.
template <GridType T>
MTMD_INLINE Floats16 level_values(Ints16 codes, int i, [[maybe_unused]] Floats16 levels) {
#if defined(MTMD_ISA_avx512)
  if constexpr (T.width == 8) {
    return _mm512_permutevar_ps(levels, reinterpret_cast<__m512i>(codes >> 2 * i));
  } else {
    return lookup16(levels, codes >> 4 * i);
  }
#else
  if constexpr (T.width == 8) return floats16((codes >> 2 * i & 3) * 2 + 1);
  return floats16((codes >> 4 * i & 7) * 2 + 1);
#endif
}
template <GridType T>
MTMD_INLINE int level_of(unsigned code, int i) {
  return static_cast<int>(T.width == 8 ? code >> 2 * i & 3u : code >> 4 * i & 7u);
}

/// The code for a pattern: itself or the best of those near it.
template <GridType T>
MTMD_INLINE unsigned take_to_grid(const GridTable& table, unsigned pattern, float scale, const Terms<T.width>& x,
                                  const Terms<T.width>& root, Floats16 levels) {
  const std::uint32_t entry = table.entries[pattern];
  if (entry & GridTable::kOnGrid) return table.codes[entry & 0xffffu];
  const std::uint16_t* list = table.lists + static_cast<std::size_t>(entry >> 8) * GridTable::kListUnit;
  return list[smallest_sum<T.width>(list, static_cast<int>(entry & 255u),
                                    error_terms<T.width>(x, root, levels, scale))];
}

template <GridType T>
MTMD_INLINE unsigned pattern_at(const float* x, float inverse_scale) {
  unsigned pattern = 0;
  for (int i = 0; i < T.width; ++i)
    pattern |= static_cast<unsigned>(clamped_int(0.5f * (inverse_scale * x[i] - 1), 0, T.levels - 1))
               << (T.width == 8 ? 2 : 3) * i;
  return pattern;
}

/// The search over the scales of one sub-block.
template <GridType T>
class ScaleSearch {
 public:
  ScaleSearch(const GridTable& table, const float* x, const float* weight, const float* root)
      : table_(table), x_(x), weight_(weight), levels_(odd_levels<T>()) {
    for (int k = 0; k < kRuns; ++k) {
      spread_x_[k] = spread<T.width>(x + T.width * k);
      spread_root_[k] = spread<T.width>(root + T.width * k);
    }
  }

  /// Candidates take `top` to the highest level. `codes` keep their old contents where no candidate is any good (no
  /// value has a weight).
  float run(float top, float scale, std::uint16_t* codes) {
    for (int c = 0; c < kChunks; ++c) try_sixteen(c, top);
    if (best_ > 0) {
      scale = scale_;
      for (int k = 0; k < kRuns; ++k)
        codes[k] = static_cast<std::uint16_t>(codes_[best_lane_ / kWide][k][best_lane_ % kWide]);
      if (scale > 0) scale = settle(scale, codes);
    }
    return scale;
  }

 private:
  static constexpr int kRuns = T.values / T.width, kCandidates = 2 * T.reach + 1;
  static constexpr int kChunks = (kCandidates + kWide - 1) / kWide;

  MTMD_INLINE void try_sixteen(int chunk, float top) {
    Ints16 number = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    number += kWide * chunk - T.reach;
    const Floats16 inverse = (static_cast<float>(2 * T.levels - 1) + floats16(number) * T.step) / top;
    const int n = kCandidates - kWide * chunk < kWide ? kCandidates - kWide * chunk : kWide;
    alignas(64) float scales[kWide];
    store16(scales, 1.0f / inverse);
    Floats16 sum_qx = {}, sum_q2 = {};
    for (int k = 0; k < kRuns; ++k) {
      const float* x = x_ + T.width * k;
      const float* weight = weight_ + T.width * k;
      Ints16 pattern = {};
      for (int i = 0; i < T.width; ++i)
        pattern |= nearest_level(0.5f * (inverse * x[i] - 1.0f), static_cast<float>(T.levels - 1))
                   << (T.width == 8 ? 2 : 3) * i;
      store16(patterns_[chunk][k], pattern);
      std::int32_t* codes = codes_[chunk][k];
      for (int lane = 0; lane < n; ++lane)
        codes[lane] =
            static_cast<std::int32_t>(take_to_grid<T>(table_, static_cast<unsigned>(patterns_[chunk][k][lane]),
                                                      scales[lane], spread_x_[k], spread_root_[k], levels_));
      Ints16 code;
      std::memcpy(&code, codes, sizeof code);
      for (int i = 0; i < T.width; ++i) {
        const Floats16 q = level_values<T>(code, i, levels_);
        sum_qx += weight[i] * x[i] * q;
        sum_q2 += weight[i] * q * q;
      }
    }
    choose(chunk, (1u << n) - 1, sum_qx, sum_q2);
  }

  /// In order: each candidate against the best before it.
  MTMD_INLINE void choose(int chunk, unsigned lanes, Floats16 sum_qx, Floats16 sum_q2) {
    for (;;) {
      lanes &= bits_of(sum_q2 > 0.0f) & bits_of(sum_qx * sum_qx > best_ * sum_q2);
      if (!lanes) return;
      const int lane = __builtin_ctz(lanes);
      lanes &= lanes - 1;
      alignas(64) float qx[kWide], q2[kWide];
      store16(qx, sum_qx);
      store16(q2, sum_q2);
      scale_ = qx[lane] / q2[lane];
      best_ = scale_ * qx[lane];
      best_lane_ = kWide * chunk + lane;
    }
  }

  /// Runs that had to be taken to the codebook are rounded once more at the scale found, which then follows them.
  float settle(float scale, std::uint16_t* codes) const {
    const int chunk = best_lane_ / kWide, lane = best_lane_ % kWide;
    unsigned off = 0;
    for (int k = 0; k < kRuns; ++k)
      if (!(table_.entries[patterns_[chunk][k][lane]] & GridTable::kOnGrid)) off |= 1u << k;
    if (T.repeat != Repeat::all && !off) return scale;
    const float inverse = 1 / scale;
    for (int k = 0; k < kRuns; ++k) {
      if (T.repeat == Repeat::off_grid && !(off >> k & 1u)) continue;
      codes[k] = static_cast<std::uint16_t>(take_to_grid<T>(table_, pattern_at<T>(x_ + T.width * k, inverse), scale,
                                                            spread_x_[k], spread_root_[k], levels_));
    }
    float sum_qx = 0, sum_q2 = 0;
    for (int i = 0; i < T.values; ++i) {
      const float q = static_cast<float>(2 * level_of<T>(codes[i / T.width], i % T.width) + 1);
      sum_qx += weight_[i] * x_[i] * q;
      sum_q2 += weight_[i] * q * q;
    }
    return sum_q2 > 0 ? sum_qx / sum_q2 : scale;
  }

  const GridTable& table_;
  const float *x_, *weight_;
  Floats16 levels_;
  Terms<T.width> spread_x_[kRuns], spread_root_[kRuns];
  alignas(64) std::int32_t patterns_[kChunks][kRuns][kWide], codes_[kChunks][kRuns][kWide] = {};
  float best_ = 0, scale_ = 0;
  int best_lane_ = 0;
};

template <GridType T>
MTMD_INLINE float largest_of(const float* x) {
  float largest = x[0];
  for (int i = 1; i < T.values; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

/// `starts`: by sub-block, what stands for the largest value; null: the largest value itself.
template <GridType T>
void choose_block(const GridTable& table, Prepared& p, const float* starts, Choice& c) {
  constexpr int n_runs = T.values / T.width;
  for (int g = 0; g < kBlock / T.values; ++g) {
    const int first = T.values * g;
    const float largest = largest_of<T>(p.x + first), top = starts ? starts[g] : largest;
    c.scales[g] = 0;
    c.empty[g] = T.tiny > 0 ? largest < T.tiny || !(top > 0) : largest == 0;
    std::uint16_t* codes = c.codes + n_runs * g;
    const std::uint16_t* before = g ? codes - n_runs : c.codes + kBlock / T.width - n_runs;
    for (int k = 0; k < n_runs; ++k) codes[k] = T.width == 8 ? 0 : c.empty[g] ? kLowestFour : before[k];
    if (c.empty[g]) continue;
    c.scales[g] = ScaleSearch<T>(table, p.x + first, p.weight + first, p.root + first)
                      .run(top, top / static_cast<float>(2 * T.levels - 1), codes);
    if (c.scales[g] < 0) {
      c.scales[g] = -c.scales[g];
      for (int r = first / 8; r < (first + T.values) / 8; ++r) p.signs[r] = static_cast<std::uint8_t>(~p.signs[r]);
    }
  }
}

/// The sub-blocks' scales as 0.5 + s (or 1 + 2 s) times a common one; false: all zero.
template <GridType T>
MTMD_INLINE bool round_scales(const Choice& c, float& d, int* s) {
  float largest = 0;
  for (int g = 0; g < kBlock / T.values; ++g) largest = c.scales[g] > largest ? c.scales[g] : largest;
  if (!(largest > 0)) return false;
  d = largest / 31;
  const float inverse = 1 / d;
  for (int g = 0; g < kBlock / T.values; ++g) s[g] = clamped_int(0.5f * (inverse * c.scales[g] - 1), 0, 15);
  return true;
}

template <GridType T>
MTMD_INLINE unsigned index_of(const GridTable& table, unsigned code) {
  return table.entries[T.width == 8 ? code : pattern_of_four(code)] & 0xffffu;
}

}  // namespace
}  // namespace mtmd::quant::ISA
