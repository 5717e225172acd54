// Private to the encoders (kernels.h): what Effort::best adds. Scales move in the steps in which they are stored,
// levels follow, and common scales are fitted again by weighted least squares, as long as the squared error falls. What
// comes out replaces a block of the standard search only if it decodes with a smaller error.
#pragma once

#include "engine/quant/formats.h"
#include "engine/quant/search.h"

namespace mtmd::quant::ISA {
namespace {

inline Floats half_rounded(Floats v) {
  for (int lane = 0; lane < kLanes; ++lane) v[lane] = widened(narrowed(v[lane]));
  return v;
}

inline Floats within(Floats v, float low, float high) { return smaller(larger(v, all(low)), all(high)); }

/// Levels of uniform steps: value = scale * level + offset.
template <int kLow, int kHigh>
struct Grid {
  static Floats inverse_of(Floats scale) { return scale != 0 ? 1.0f / scale : Floats{}; }
  static Floats level(Floats x, Floats inverse, Floats offset) {
    return nearest(within((x - offset) * inverse, kLow, kHigh), kLow, kHigh);
  }
  /// Squared error of n values a lane with the best levels.
  static Floats error(const Floats* x, const Floats* w, int n, Floats scale, Floats offset) {
    const Floats inverse = inverse_of(scale);
    Floats sum = {};
    for (int i = 0; i < n; ++i) {
      const Floats diff = scale * level(x[i], inverse, offset) + offset - x[i];
      sum += w[i] * (diff * diff);
    }
    return sum;
  }
};

/// One scale in half precision for N values, without offset: candidates top / t for t in [first, last], top the largest
/// magnitude, also with the other sign where kBothSigns; then refitted. Starts from, and returns, `scale`.
template <int N, int kLow, int kHigh, bool kBothSigns>
Floats improve_scale(const Floats* x, const Floats* w, Floats scale, float first, float last, float step) {
  using Levels = Grid<kLow, kHigh>;
  Floats least = Levels::error(x, w, N, scale, Floats{});
  const auto attempt = [&](Floats other) {
    other = half_rounded(other);
    const Floats error = Levels::error(x, w, N, other, Floats{});
    scale = error < least ? other : scale;
    least = error < least ? error : least;
  };
  const Floats top = extreme<N>(x);
  for (float t = first; t <= last; t += step) {
    attempt((kBothSigns ? top : magnitude(top)) / t);
    if (kBothSigns) attempt(-top / t);
  }
  for (int round = 0; round < 4; ++round) {
    const Floats inverse = Levels::inverse_of(scale);
    LeastSquares sums;
    for (int i = 0; i < N; ++i) sums.add(w[i] * x[i], w[i], Levels::level(x[i], inverse, Floats{}));
    attempt(sums.ll > 0 ? sums.xl / sums.ll : scale);
    attempt(scale * (1 + 0x1p-10f));
    attempt(scale * (1 - 0x1p-10f));
  }
  return scale;
}

/// Scale and offset in half precision: refitted, then moved by small steps.
template <int N, int kTop>
void improve_scale_and_offset(const Floats* x, const Floats* w, Floats& scale, Floats& offset) {
  using Levels = Grid<0, kTop>;
  Floats least = Levels::error(x, w, N, scale, offset);
  const auto attempt = [&](Floats other_scale, Floats other_offset) {
    other_scale = half_rounded(other_scale);
    other_offset = half_rounded(other_offset);
    const Floats error = Levels::error(x, w, N, other_scale, other_offset);
    const Ints better = error < least;
    scale = better ? other_scale : scale;
    offset = better ? other_offset : offset;
    least = better ? error : least;
  };
  for (int round = 0; round < 6; ++round) {
    const Floats inverse = Levels::inverse_of(scale);
    Floats sum_w = {}, sum_x = {}, sum_l = {};
    LeastSquares sums;
    for (int i = 0; i < N; ++i) {
      const Floats level = Levels::level(x[i], inverse, offset);
      sum_w += w[i];
      sum_x += w[i] * x[i];
      sum_l += w[i] * level;
      sums.add(w[i] * x[i], w[i], level);
    }
    const Floats determinant = sum_w * sums.ll - sum_l * sum_l;
    const Ints sound = determinant > 0;
    attempt(sound ? (sum_w * sums.xl - sum_x * sum_l) / determinant : scale,
            sound ? (sums.ll * sum_x - sum_l * sums.xl) / determinant : offset);
    // The ends of the range move against each other, by fractions of a step.
    constexpr float moves[][2] = {{0.25f, 0}, {-0.25f, 0}, {0, 0.25f}, {0, -0.25f}, {0.25f, 0.25f}, {-0.25f, -0.25f},
                                  {0.1f, 0},  {-0.1f, 0},  {0, 0.1f},  {0, -0.1f},  {0.1f, -0.1f},  {-0.1f, 0.1f}};
    for (const auto& [low, high] : moves)
      attempt(scale + scale * ((high - low) / static_cast<float>(kTop)), offset + scale * low);
  }
}

/// Super-blocks of 256 values, one per lane, with a scale (and a minimum, where kMinTop > 0) per group in steps of d
/// (and dmin): value = d s level - dmin m.
template <int kGroups, int kLow, int kHigh, int kScaleLow, int kScaleHigh, int kMinTop>
struct SuperBlocks {
  static constexpr int kSize = 256 / kGroups;
  using Levels = Grid<kLow, kHigh>;
  Floats x[256], w[256];
  Floats d, dmin = {}, s[kGroups], m[kGroups];

  Floats error(int g, Floats scale, Floats min) const {
    return Levels::error(x + kSize * g, w + kSize * g, kSize, d * scale, -(dmin * min));
  }

  /// Tries every scale and minimum within `reach` of the present ones, in each group.
  void move_groups(int reach) {
    const int min_reach = kMinTop > 0 ? (reach < kMinTop ? reach : kMinTop) : 0;
    for (int g = 0; g < kGroups; ++g) {
      const Floats s0 = s[g], m0 = m[g];
      Floats least = error(g, s0, m0);
      for (int ds = -reach; ds <= reach; ++ds)
        for (int dm = -min_reach; dm <= min_reach; ++dm) {
          const Floats other_s = within(s0 + static_cast<float>(ds), kScaleLow, kScaleHigh);
          const Floats other_m = within(m0 + static_cast<float>(dm), 0, kMinTop);
          const Floats sum = error(g, other_s, other_m);
          const Ints better = sum < least;
          s[g] = better ? other_s : s[g];
          m[g] = better ? other_m : m[g];
          least = better ? sum : least;
        }
    }
  }

  Floats total_error() const {
    Floats sum = {};
    for (int g = 0; g < kGroups; ++g) sum += error(g, s[g], m[g]);
    return sum;
  }

  /// d and dmin by least squares for the present levels, where that lowers the error.
  void refit() {
    Floats ss = {}, sm = {}, mm = {}, xs = {}, xm = {};
    for (int g = 0; g < kGroups; ++g) {
      const Floats scale = d * s[g], offset = -(dmin * m[g]), inverse = Levels::inverse_of(scale);
      for (int i = kSize * g; i < kSize * (g + 1); ++i) {
        const Floats sl = s[g] * Levels::level(x[i], inverse, offset), wsl = w[i] * sl, wm = w[i] * m[g];
        ss += wsl * sl;
        xs += wsl * x[i];
        if constexpr (kMinTop > 0) {
          sm += wsl * m[g];
          mm += wm * m[g];
          xm += wm * x[i];
        }
      }
    }
    const Floats determinant = ss * mm - sm * sm;
    Floats other_d = (xs * mm - sm * xm) / determinant, other_min = (sm * xs - ss * xm) / determinant;
    const Ints single = ~((determinant > 0) & (other_min >= 0) & (mm > 0));  // false for what is no number, too
    other_d = single ? xs / ss : other_d;
    other_min = single ? (kMinTop > 0 ? dmin : Floats{}) : other_min;
    attempt(half_rounded(other_d), half_rounded(other_min));
  }

  void attempt(Floats other_d, Floats other_min) {
    const Floats before = total_error(), old_d = d, old_min = dmin;
    d = other_d;
    dmin = other_min;
    const Ints better = total_error() < before;
    d = better ? d : old_d;
    dmin = better ? dmin : old_min;
  }

  void improve(int first_reach) {
    move_groups(first_reach);
    for (int round = 0; round < 4; ++round) {  // as often for every lane: a block does not depend on its neighbours
      refit();
      move_groups(1);
    }
  }
};

inline double block_error(Decode* decode, const std::byte* block, const float* x, const float* w, int n) {
  float y[256];
  decode(block, y, n);
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    const double diff = static_cast<double>(y[i]) - static_cast<double>(x[i]);
    sum += diff * diff * (w ? static_cast<double>(w[i]) : 1.0);
  }
  return sum;
}

/// Takes `candidate` in place of `block` if it decodes to n values with a smaller error.
template <int kBytes>
void keep_better(Decode* decode, const std::byte* candidate, const float* x, const float* w, int n, std::byte* block) {
  if (block_error(decode, candidate, x, w, n) < 0.999999 * block_error(decode, block, x, w, n))
    for (int i = 0; i < kBytes; ++i) block[i] = candidate[i];
}

/// Weights of the error: the importance, or 1.
template <int N>
void error_weights(const float* importance, int n_runs, Floats* w) {
  if (importance) return transpose<N>(importance, 0, n_runs, w);
  for (int i = 0; i < N; ++i) w[i] = all(1);
}

}  // namespace
}  // namespace mtmd::quant::ISA
