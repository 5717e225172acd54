// The best split of a sub-block in three (IQ1_S, IQ1_M): after sorting, values before `first` take the lowest level,
// those from `second` on the highest, and prefix sums give the sums of every split at once.
//
// The reference compares the splits one after the other, in single precision: which of almost equal ones wins depends
// on the rounding errors of its comparisons, each below 2^-22. So all scores are computed in lanes first, roughly, and
// only splits within 0.2 % of the best are compared in its way: among at most 1122
// splits there must be a gap of more than 2^-20 above which the two ways cannot differ.
#pragma once

#include "engine/quant/iq_lanes.h"

namespace mtmd::quant::ISA {
namespace {

constexpr float kShift = 0.125f;
constexpr float kUp[3] = {-1 + kShift, kShift, 1 + kShift}, kDown[3] = {-1 - kShift, -kShift, 1 - kShift};

struct Split {
  int first = 0, second = 0;
  int shifts = 0;  ///< 32 values: 0 up, 1 down; 16 values: bit 1 the first eight down, bit 0 the other eight
  float scale = 0, score = -__builtin_inff();

  /// qx, q2: the sums of weight * x * level and weight * level^2.
  MTMD_INLINE void compare(float qx, float q2, int f, int s, int sh) {
    if (!(q2 > 0 && qx * qx > score * q2)) return;
    scale = qx / q2;
    score = scale * qx;
    first = f;
    second = s;
    shifts = sh;
  }
};

/// Splits worth a comparison, in the order of the reference.
struct Candidates {
  static constexpr int kMost = 33 * 34 / 2;
  int n = 0;
  std::int32_t first[kMost + kWide], second[kMost + kWide];  ///< whole registers can be read from each
  MTMD_INLINE void add(int f, int s) {
    first[n] = f;
    second[n++] = s;
  }
};

template <class V>
MTMD_INLINE V read(const float* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

/// For 32 values with one shift.
class Sums32 {
 public:
  static constexpr int kValues = 32, kShifts = 2;

  Sums32(const float* x, const float* weight, const int* order) {
    for (int j = 0; j < kValues; ++j) {
      x_[j + 1] = x_[j] + weight[order[j]] * x[order[j]];
      w_[j + 1] = w_[j] + weight[order[j]];
    }
    for (int j = 0; j <= kValues; ++j) {
      const float x_high = x_[kValues] - x_[j], w_high = w_[kValues] - w_[j];
      high_x_[0][j] = x_high * kUp[2];
      high_x_[1][j] = x_high * kDown[2];
      high_w_[0][j] = w_high * kUp[2] * kUp[2];
      high_w_[1][j] = w_high * kDown[2] * kDown[2];
    }
  }
  float total_weight() const { return w_[kValues]; }

  /// The sums of the split (first, second) for every shift, or those of the sixteen from there.
  template <class V>
  MTMD_INLINE void at(int first, int second, V* qx, V* q2) const {
    const V x = read<V>(x_ + second) - x_[first], w = (read<V>(w_ + second) - w_[first]) * kUp[1] * kUp[1];
    qx[0] = x_[first] * kUp[0] + x * kUp[1] + read<V>(high_x_[0] + second);
    qx[1] = x_[first] * kDown[0] + x * kDown[1] + read<V>(high_x_[1] + second);
    q2[0] = w_[first] * kUp[0] * kUp[0] + w + read<V>(high_w_[0] + second);
    q2[1] = w_[first] * kDown[0] * kDown[0] + w + read<V>(high_w_[1] + second);
  }

  void compare(const Candidates& c, Split& best) const {
    for (int i = 0; i < c.n; ++i) {
      float qx[kShifts], q2[kShifts];
      at(c.first[i], c.second[i], qx, q2);
      for (int k = 0; k < kShifts; ++k) best.compare(qx[k], q2[k], c.first[i], c.second[i], k);
    }
  }

 private:
  float x_[kValues + 1 + kWide] = {}, w_[kValues + 1 + kWide] = {};  // of all values before
  float high_x_[2][kValues + 1 + kWide] = {}, high_w_[2][kValues + 1 + kWide] = {};
};

/// Lanes of table[part], part in 0..2.
MTMD_INLINE Floats16 by_part(const float* table, Ints16 part) {
#if defined(MTMD_ISA_avx512)
  return _mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_load_ps(table)), reinterpret_cast<__m512i>(part));
#else
  return part == 0 ? splat16(table[0]) : part == 1 ? splat16(table[1]) : splat16(table[2]);
#endif
}

/// For two halves of eight values with a shift each. Prefix sums find the candidates; they are compared by sums that
/// run over the values in sorted order.
class Sums16 {
 public:
  static constexpr int kValues = 16, kShifts = 4;

  Sums16(const float* x, const float* weight, const int* order) {
    for (int j = 0; j < kValues; ++j) {
      const int i = order[j], half = i / 8;
      x_[half][j + 1] = x_[half][j] + weight[i] * x[i];
      w_[half][j + 1] = w_[half][j] + weight[i];
      x_[1 - half][j + 1] = x_[1 - half][j];
      w_[1 - half][j + 1] = w_[1 - half][j];
      for (int part = 0; part < 3; ++part) {
        const float up = weight[i] * kUp[part], down = weight[i] * kDown[part];
        terms_[j].qx[0][part] = up * x[i];
        terms_[j].qx[1][part] = down * x[i];
        terms_[j].q2[0][part] = up * kUp[part];
        terms_[j].q2[1][part] = down * kDown[part];
      }
      terms_[j].second_half = -half;
    }
  }
  float total_weight() const { return w_[0][kValues] + w_[1][kValues]; }

  template <class V>
  MTMD_INLINE void at(int first, int second, V* qx, V* q2) const {
    V x[2][2], w[2][2];  // by half; up, down
    for (int h = 0; h < 2; ++h) {
      const V low = read<V>(x_[h] + second) + x_[h][first], w_low = read<V>(w_[h] + second);
      for (int down = 0; down < 2; ++down) {
        const float* q = down ? kDown : kUp;
        x[h][down] = x_[h][kValues] * q[2] - low;
        w[h][down] = w_low * (q[1] * q[1] - q[2] * q[2]) +
                     (w_[h][first] * (q[0] * q[0] - q[1] * q[1]) + w_[h][kValues] * (q[2] * q[2]));
      }
    }
    for (int k = 0; k < kShifts; ++k) {
      qx[k] = x[0][k >> 1] + x[1][k & 1];
      q2[k] = w[0][k >> 1] + w[1][k & 1];
    }
  }

  void compare(const Candidates& c, Split& best) const {
    for (int from = 0; from < c.n; from += kWide) {
      float qx[kShifts][kWide], q2[kShifts][kWide];
      sorted_sums(c, from, qx, q2);
      for (int i = 0; i < kWide && from + i < c.n; ++i)
        for (int k = 0; k < kShifts; ++k) best.compare(qx[k][i], q2[k][i], c.first[from + i], c.second[from + i], k);
    }
  }

 private:
  /// What the value of one rank adds to the sums, by part of the split.
  struct Addition {
    alignas(16) float qx[2][4] = {}, q2[2][4] = {};  // up, down
    std::int32_t second_half;                        // all bits set: yes
  };

  MTMD_INLINE void sorted_sums(const Candidates& c, int from, float (*qx)[kWide], float (*q2)[kWide]) const {
    Ints16 first, second;
    std::memcpy(&first, c.first + from, sizeof first);
    std::memcpy(&second, c.second + from, sizeof second);
    Floats16 sum_x[kShifts] = {}, sum_2[kShifts] = {};
    for (int j = 0; j < kValues; ++j) {
      const Addition& t = terms_[j];
      const Ints16 part = -((first <= j) + (second <= j)), other = splat16(t.second_half);
      const Floats16 up_x = by_part(t.qx[0], part), down_x = by_part(t.qx[1], part);
      const Floats16 up_2 = by_part(t.q2[0], part), down_2 = by_part(t.q2[1], part);
      sum_x[0] += up_x;
      sum_x[1] += other ? down_x : up_x;
      sum_x[2] += other ? up_x : down_x;
      sum_x[3] += down_x;
      sum_2[0] += up_2;
      sum_2[1] += other ? down_2 : up_2;
      sum_2[2] += other ? up_2 : down_2;
      sum_2[3] += down_2;
    }
    for (int k = 0; k < kShifts; ++k) {
      store16(qx[k], sum_x[k]);
      store16(q2[k], sum_2[k]);
    }
  }

  float x_[2][kValues + 1 + kWide] = {}, w_[2][kValues + 1 + kWide] = {};  // of all values of the half before
  Addition terms_[kValues];
};

/// qx^2 / q2 within 0.01 %, 0 where that is no number.
MTMD_INLINE Floats16 rough_score(Floats16 qx, Floats16 q2) {
#if defined(MTMD_ISA_avx512)
  return _mm512_max_ps(qx * qx * reinterpret_cast<Floats16>(_mm512_rcp14_ps(q2)), _mm512_setzero_ps());
#else
  const Floats16 score = qx * qx / q2;
  return score > 0.0f ? score : Floats16{};
#endif
}
MTMD_INLINE Floats16 greater(Floats16 a, Floats16 b) {
#if defined(MTMD_ISA_avx512)
  return _mm512_max_ps(a, b);
#else
  return a > b ? a : b;
#endif
}
MTMD_INLINE float greatest(Floats16 v) {
#if defined(MTMD_ISA_avx512)
  return _mm512_reduce_max_ps(v);
#else
  float m = v[0];
  for (int i = 1; i < kWide; ++i) m = v[i] > m ? v[i] : m;
  return m;
#endif
}

template <class Sums>
Split best_split(const float* x, const float* weight, const int* order) {
  constexpr int n = Sums::kValues, shifts = Sums::kShifts;
  const Sums sums(x, weight, order);
  Floats16 scores[n / kWide * (n + 2) + 1];  // of the best shift; more registers than there are
  Floats16 top = {};
  int r = 0;
  for (int first = 0; first <= n; ++first)
    for (int second = first; second <= n; second += kWide, ++r) {
      Floats16 qx[shifts], q2[shifts];
      sums.at(first, second, qx, q2);
      const Ints16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
      Floats16 high = rough_score(qx[0], q2[0]);
      for (int k = 1; k < shifts; ++k) high = greater(high, rough_score(qx[k], q2[k]));
      scores[r] = lane <= n - second ? high : splat16(-1.0f);
      top = greater(top, scores[r]);
    }
  // Where products could leave the range of normal numbers, all are compared.
  const float size = greatest(top) * sums.total_weight();
  const float least = size > 1e-30f && size < 1e35f ? greatest(top) * 0.998f : 0.0f;
  Candidates near;
  r = 0;
  for (int first = 0; first <= n; ++first)
    for (int second = first; second <= n; second += kWide, ++r) {
      for (unsigned lanes = bits_of(scores[r] >= least); lanes; lanes &= lanes - 1)
        near.add(first, second + __builtin_ctz(lanes));
    }
  Split best;
  sums.compare(near, best);
  return best;
}

/// Rank of each value, of equals the earlier first.
template <int N>
MTMD_INLINE void rank(const float* x, std::int32_t* ranks) {
  const Ints16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int i = 0; i < N; i += kWide) {
    const Floats16 v = load16(x + i);
    Ints16 before = {};
    for (int j = 0; j < N; ++j) before -= (x[j] < v) | ((x[j] == v) & (lane > j - i));
    store16(ranks + i, before);
  }
}

}  // namespace
}  // namespace mtmd::quant::ISA
