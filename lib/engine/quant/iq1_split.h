// The best split of a sub-block in three (IQ1_S, IQ1_M): after sorting, values before `first` take the lowest level,
// those from `second` on the highest, and prefix sums give the sums of every split at once.
//
// The reference compares the splits one after the other, in single precision: which of almost equal ones wins depends
// on the rounding errors of its comparisons, each below 2^-22. So all scores are computed in lanes first, roughly, and
// only splits within 0.1 % of the best, and a margin for the roughness, are compared in its way: among at most 1122
// splits there must be a gap of more than 2^-21 above which the two ways cannot differ.
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

 private:
  float x_[kValues + 1 + kWide] = {}, w_[kValues + 1 + kWide] = {};  // of all values before
  float high_x_[2][kValues + 1 + kWide] = {}, high_w_[2][kValues + 1 + kWide] = {};
};

/// For two halves of eight values with a shift each.
class Sums16 {
 public:
  static constexpr int kValues = 16, kShifts = 4;

  Sums16(const float* x, const float* weight, const int* order) {
    for (int j = 0; j < kValues; ++j) {
      const int half = order[j] / 8;
      x_[half][j + 1] = x_[half][j] + weight[order[j]] * x[order[j]];
      w_[half][j + 1] = w_[half][j] + weight[order[j]];
      x_[1 - half][j + 1] = x_[1 - half][j];
      w_[1 - half][j + 1] = w_[1 - half][j];
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
                     (w_[h][first] * (q[0] * q[0] - q[1] * q[1]) + w_[h][kValues] * q[2] * q[2]);
      }
    }
    for (int k = 0; k < 4; ++k) {
      qx[k] = x[0][k >> 1] + x[1][k & 1];
      q2[k] = w[0][k >> 1] + w[1][k & 1];
    }
  }

 private:
  float x_[2][kValues + 1 + kWide] = {}, w_[2][kValues + 1 + kWide] = {};  // of all values of the half before
};

/// qx^2 / q2 within 0.1 %, 0 where that is no number.
MTMD_INLINE Floats16 rough_score(Floats16 qx, Floats16 q2) {
#if defined(MTMD_ISA_avx512)
  return _mm512_max_ps(qx * qx * reinterpret_cast<Floats16>(_mm512_rcp14_ps(q2)), _mm512_setzero_ps());
#else
  const Floats16 score = qx * qx / q2;
  return score > 0.0f ? score : Floats16{};
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
  Floats16 scores[n / kWide * (n + 2) + 1][shifts];  // more registers than there are
  Floats16 top = {};
  int r = 0;
  for (int first = 0; first <= n; ++first)
    for (int second = first; second <= n; second += kWide, ++r) {
      Floats16 qx[shifts], q2[shifts];
      sums.at(first, second, qx, q2);
      const Ints16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
      for (int k = 0; k < shifts; ++k) {
        const Floats16 score = rough_score(qx[k], q2[k]);
        scores[r][k] = lane <= n - second ? score : splat16(-1.0f);
        top = top > scores[r][k] ? top : scores[r][k];
      }
    }
  // Where products could leave the range of normal numbers, all are compared.
  const float size = greatest(top) * sums.total_weight();
  const float least = size > 1e-30f && size < 1e35f ? greatest(top) * 0.996f : 0.0f;
  Split best;
  r = 0;
  for (int first = 0; first <= n; ++first)
    for (int second = first; second <= n; second += kWide, ++r) {
      Ints16 near = scores[r][0] >= least;
      for (int k = 1; k < shifts; ++k) near |= scores[r][k] >= least;
      for (unsigned lanes = bits_of(near); lanes; lanes &= lanes - 1) {
        const int at = second + __builtin_ctz(lanes);
        float qx[shifts], q2[shifts];
        sums.at(first, at, qx, q2);
        for (int k = 0; k < shifts; ++k) best.compare(qx[k], q2[k], first, at, k);
      }
    }
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
