// Private to the encoders (kernels.h): the searches of the reference quantiser, one block or sub-block per lane.
//
// A search tries slightly different scales around the obvious one, fits scale (and offset) to the levels that each
// gives by weighted least squares, and keeps what errs least. It returns the inverse scale that led to the best levels,
// so that the levels can be found again: level = nearest((x - low) * inverse).
#pragma once

#include "engine/quant/lanes.h"

namespace mtmd::quant::ISA {
namespace {

constexpr float kTooSmall = 1e-15f;  // a block below this is zero

struct Symmetric {
  Floats scale;    ///< 0: the block is zero, and so are its levels
  Floats inverse;  ///< levels: nearest(x * inverse) within [-half, half - 1]; 0 where the block is zero
};

struct LeastSquares {
  Floats xl = {}, ll = {};  ///< sums of weight * x * level and weight * level * level
  void add(Floats wx, Floats w, Floats level) {
    xl += wx * level;
    ll += w * level * level;
  }
};

/// The value of largest magnitude, sign included (the first of equals).
template <int N>
Floats extreme(const Floats* x) {
  Floats best = {}, size = {};
  for (int i = 0; i < N; ++i) {
    const Ints larger_one = magnitude(x[i]) > size;
    size = larger_one ? magnitude(x[i]) : size;
    best = larger_one ? x[i] : best;
  }
  return best;
}

/// x = scale * level, level in [-kHalf, kHalf - 1].
template <int N, int kHalf>
Symmetric search_symmetric(const Floats* x, const Floats* w) {
  const Floats top = extreme<N>(x);
  Floats wx[N];
  for (int i = 0; i < N; ++i) wx[i] = w[i] * x[i];
  const auto fit = [&](Floats inverse) {
    LeastSquares sums;
    for (int i = 0; i < N; ++i) sums.add(wx[i], w[i], nearest(inverse * x[i], -kHalf, kHalf - 1));
    return sums;
  };
  Symmetric best{{}, static_cast<float>(-kHalf) / top};
  const LeastSquares first = fit(best.inverse);
  best.scale = first.ll != 0 ? first.xl / first.ll : Floats{};
  Floats gain = best.scale * first.xl;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    const Floats inverse = -(static_cast<float>(kHalf) + 0.1f * static_cast<float>(step)) / top;
    const LeastSquares sums = fit(inverse);
    const Ints better = (sums.ll > 0) & (sums.xl * sums.xl > gain * sums.ll);
    best.scale = better ? sums.xl / sums.ll : best.scale;
    best.inverse = better ? inverse : best.inverse;
    gain = better ? best.scale * sums.xl : gain;
  }
  const Ints zero = magnitude(top) < kTooSmall;
  best.scale = zero ? Floats{} : best.scale;
  best.inverse = zero ? Floats{} : best.inverse;
  return best;
}

/// Moves single levels while that lets scale * level fit better; `level` within [kLow, kHigh]. Returns the scale.
template <int N, int kLow, int kHigh, bool kPositive>
Floats refine_levels(const Floats* x, const Floats* w, Floats* level) {
  LeastSquares sums;
  for (int i = 0; i < N; ++i) sums.add(w[i] * x[i], w[i], level[i]);
  for (int round = 0; round < 5; ++round) {
    Ints changed = {};
    for (int i = 0; i < N; ++i) {
      const Floats wx = w[i] * x[i];
      LeastSquares others{sums.xl - wx * level[i], sums.ll - w[i] * level[i] * level[i]};
      Ints better = kPositive ? (others.xl > 0) & (others.ll > 0) : others.xl > 0;
      const Floats other_level = nearest_wrapped(x[i] * others.ll / others.xl, kLow, kHigh);
      others.add(wx, w[i], other_level);
      better &= (other_level != level[i]) & (others.xl * others.xl * sums.ll > sums.xl * sums.xl * others.ll);
      if (!kPositive) better &= others.ll > 0;
      level[i] = better ? other_level : level[i];
      sums.xl = better ? others.xl : sums.xl;
      sums.ll = better ? others.ll : sums.ll;
      changed |= better;
    }
    if (!any(changed)) break;
  }
  return sums.ll > 0 ? sums.xl / sums.ll : Floats{};
}

/// Q3_K without weights of its own: the obvious scale, then refined, errors weighted by x squared. Leaves the
/// levels (the lowest in a block of zeros).
template <int N, int kHalf>
Floats search_refined(const Floats* x, Floats* level) {
  const Floats top = extreme<N>(x), inverse = static_cast<float>(-kHalf) / top;
  Floats w[N];
  for (int i = 0; i < N; ++i) {
    w[i] = x[i] * x[i];
    level[i] = nearest(inverse * x[i], -kHalf, kHalf - 1);
  }
  const Floats scale = refine_levels<N, -kHalf, kHalf - 1, false>(x, w, level);
  const Ints zero = magnitude(top) < kTooSmall;
  for (int i = 0; i < N; ++i) level[i] = zero ? all(-kHalf) : level[i];
  return zero ? Floats{} : scale;
}

/// x = scale * level for x >= 0, level in [0, kTop]: the scales (or minima) of a super-block. Leaves the levels.
template <int N, int kTop>
Floats search_positive(const Floats* x, const Floats* w, Floats* level) {
  Floats top = {};
  for (int i = 0; i < N; ++i) top = larger(top, x[i]);
  const auto error = [&](Floats inverse) {
    const Floats scale = 1.0f / inverse;
    Floats sum = {};
    for (int i = 0; i < N; ++i) {
      const Floats diff = x[i] - scale * nearest(inverse * x[i], 0, kTop);
      sum += w[i] * diff * diff;
    }
    return sum;
  };
  Floats inverse = static_cast<float>(kTop) / top, least = error(inverse);
  for (int step = -4; step <= 4; ++step) {
    if (step == 0) continue;
    const Floats other = (0.1f * static_cast<float>(step) + static_cast<float>(kTop)) / top, sum = error(other);
    inverse = sum < least ? other : inverse;
    least = sum < least ? sum : least;
  }
  for (int i = 0; i < N; ++i) level[i] = nearest(inverse * x[i], 0, kTop);
  const Floats scale = refine_levels<N, 0, kTop, true>(x, w, level);
  const Ints zero = top < kTooSmall;
  for (int i = 0; i < N; ++i) level[i] = zero ? Floats{} : level[i];
  return zero ? Floats{} : scale;
}

struct Steps {
  float first, width;
  int last;
};

struct Offset {
  Floats scale, offset;         ///< x = scale * level + offset, offset <= 0
  Floats inverse, low, weight;  ///< levels: nearest((x - low) * inverse) within [0, top]; sum of the weights
};

/// `kWrapped`: the inverse scale may overflow (blocks of denormal numbers).
template <int N, int kTop, bool kAbsolute, bool kWrapped>
void try_offsets(const Floats* x, const Floats* w, Floats sum_x, Floats high, Steps steps, Offset& best) {
  const auto level_of = [&](Floats v) { return kWrapped ? nearest_wrapped(v, 0, kTop) : nearest(v, 0, kTop); };
  Floats level[N];
  const auto error = [&](Floats scale, Floats offset) {
    Floats sum = {};
    for (int i = 0; i < N; ++i) {
      const Floats diff = scale * level[i] + offset - x[i];
      sum += w[i] * (kAbsolute ? magnitude(diff) : diff * diff);
    }
    return sum;
  };
  for (int i = 0; i < N; ++i) level[i] = level_of(best.inverse * (x[i] - best.low));
  Floats least = error(best.scale, best.offset);
  for (int step = 0; step <= steps.last; ++step) {
    // The levels are counted from the best offset so far.
    const Floats inverse =
        (steps.first + steps.width * static_cast<float>(step) + static_cast<float>(kTop)) / (high - best.offset);
    Floats sum_l = {}, sum_l2 = {}, sum_xl = {};
    for (int i = 0; i < N; ++i) {
      const Floats l = level_of(inverse * (x[i] - best.offset)), wl = w[i] * l;
      level[i] = l;
      sum_l += wl;
      sum_l2 += wl * l;
      sum_xl += wl * x[i];
    }
    const Floats determinant = best.weight * sum_l2 - sum_l * sum_l;
    Floats scale = (best.weight * sum_xl - sum_x * sum_l) / determinant;
    Floats offset = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    const Ints positive = offset > 0;
    scale = positive ? sum_xl / sum_l2 : scale;
    offset = positive ? Floats{} : offset;
    const Floats sum = error(scale, offset);
    const Ints better = (determinant > 0) & (sum < least);
    least = better ? sum : least;
    best.scale = better ? scale : best.scale;
    best.low = better ? best.offset : best.low;
    best.offset = better ? offset : best.offset;
    best.inverse = better ? inverse : best.inverse;
  }
}

/// x = scale * level + offset, level in [0, kTop]. Errors count squared, or (kAbsolute) as they are.
template <int N, int kTop, bool kAbsolute = false>
Offset search_offset(const Floats* x, const Floats* w, Steps steps) {
  Floats low = x[0], high = x[0], weight = w[0], sum_x = w[0] * x[0];
  for (int i = 1; i < N; ++i) {
    low = smaller(x[i], low);
    high = larger(x[i], high);
    weight += w[i];
    sum_x += w[i] * x[i];
  }
  low = smaller(Floats{}, low);
  const Floats range = high - low;
  Offset best{{}, low, static_cast<float>(kTop) / range, low, weight};
  best.scale = 1.0f / best.inverse;
  if (any(range < 1e-36f)) {
    try_offsets<N, kTop, kAbsolute, true>(x, w, sum_x, high, steps, best);
  } else {
    try_offsets<N, kTop, kAbsolute, false>(x, w, sum_x, high, steps, best);
  }
  const Ints flat = high == low;
  best.scale = flat ? Floats{} : best.scale;
  best.offset = flat ? low : best.offset;
  best.inverse = flat ? Floats{} : best.inverse;
  return best;
}

}  // namespace
}  // namespace mtmd::quant::ISA
