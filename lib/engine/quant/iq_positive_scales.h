// A scale per sub-block for levels 0 … top of magnitudes: nine roundings, then single levels are moved while that
// helps. Eight sub-blocks of 32 values in lanes.
#pragma once

#include "engine/quant/iq_lanes.h"

namespace mtmd::quant::ISA {
namespace {

using Floats8 = float __attribute__((vector_size(32)));
using Ints8 = std::int32_t __attribute__((vector_size(32)));

MTMD_INLINE Ints8 nearest8(Floats8 v) { return (reinterpret_cast<Ints8>(v + kRounder) & 0x7fffff) - 0x400000; }
MTMD_INLINE Floats8 floats8(Ints8 v) { return __builtin_convertvector(v, Floats8); }
MTMD_INLINE bool any8(Ints8 v) {
  std::int32_t all = 0;
  for (int i = 0; i < 8; ++i) all |= v[i];
  return all != 0;
}

struct PositiveFit {
  Floats8 x[32], weight[32];
  Ints8 level[32];  ///< as unsigned bytes: a negative value that rounds below zero counts as 256 more, as in the
                    ///< reference
  int top;

  /// The inverse scale, of nine around the one that takes the largest value to `top`, whose rounding has the least
  /// error.
  MTMD_INLINE Floats8 best_inverse(Floats8 largest) {
    Floats8 inverse = static_cast<float>(top) / largest;
    Floats8 least = {};
    for (int j = 0; j < 32; ++j) {
      const Floats8 difference = x[j] - 1.0f / inverse * floats8(nearest8(inverse * x[j]) & 255);
      least += weight[j] * difference * difference;
    }
    for (int step = -4; step <= 4; ++step) {
      if (step == 0) continue;
      const Floats8 candidate = (0.1f * static_cast<float>(step) + static_cast<float>(top)) / largest;
      const Floats8 scale = 1.0f / candidate;
      Floats8 error = {};
      for (int j = 0; j < 32; ++j) {
        const Floats8 difference = x[j] - scale * floats8(cut(nearest8(candidate * x[j])));
        error += weight[j] * difference * difference;
      }
      inverse = error < least ? candidate : inverse;
      least = error < least ? error : least;
    }
    return inverse;
  }

  MTMD_INLINE Ints8 cut(Ints8 l) const { return l > top ? top - Ints8{} : l; }

  MTMD_INLINE Floats8 run(Floats8 largest) {
    const Floats8 inverse = best_inverse(largest);
    Floats8 sum_lx = {}, sum_l2 = {};
    for (int j = 0; j < 32; ++j) {
      const Ints8 l = cut(nearest8(inverse * x[j]));
      level[j] = l & 255;
      sum_lx += weight[j] * x[j] * floats8(l);
      sum_l2 += weight[j] * floats8(l) * floats8(l);
    }
    for (int round = 0; round < 5; ++round)
      if (!improve(sum_lx, sum_l2)) break;
    return sum_l2 > 0.0f ? sum_lx / sum_l2 : Floats8{};
  }

  MTMD_INLINE bool improve(Floats8& sum_lx, Floats8& sum_l2) {
    Ints8 any = {};
    for (int j = 0; j < 32; ++j) {
      const Floats8 wx = weight[j] * x[j], old = floats8(level[j]);
      Floats8 lx = sum_lx - wx * old, l2 = sum_l2 - weight[j] * old * old;
      const Ints8 l = cut(nearest8(x[j] * l2 / lx));
      Ints8 take = (lx > 0.0f) & (l2 > 0.0f) & (l != level[j]);
      lx += wx * floats8(l);
      l2 += weight[j] * floats8(l) * floats8(l);
      take &= lx * lx * sum_l2 > sum_lx * sum_lx * l2;
      level[j] = take ? l & 255 : level[j];
      sum_lx = take ? lx : sum_lx;
      sum_l2 = take ? l2 : sum_l2;
      any |= take;
    }
    return any8(any);
  }
};

/// Three (= top - 1) times the scale of each of the eight sub-blocks of a block; 0 where nothing exceeds `tiny`.
void positive_scales(const float* x, const float* weight, int top, float tiny, float* starts) {
  PositiveFit fit;
  fit.top = top;
  Floats8 largest;
  for (int g = 0; g < 8; ++g) {
    float m = x[32 * g];
    for (int j = 0; j < 32; ++j) {
      fit.x[j][g] = x[32 * g + j];
      fit.weight[j][g] = weight[32 * g + j];
      m = x[32 * g + j] > m ? x[32 * g + j] : m;
    }
    largest[g] = m;
  }
  const Ints8 zero = largest < tiny;
  const Floats8 scales = fit.run(zero ? 1.0f - Floats8{} : largest);
  for (int g = 0; g < 8; ++g) starts[g] = zero[g] ? 0.0f : scales[g] * static_cast<float>(top - 1);
}

}  // namespace
}  // namespace mtmd::quant::ISA
