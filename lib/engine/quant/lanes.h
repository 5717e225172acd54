// Private to the encoders that are compiled once per instruction set (kernels.h): vectors whose lanes are different
// blocks, sub-blocks or candidates. Every lane does what scalar code would do, in the same order.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mtmd::quant::ISA {
namespace {

#if defined(MTMD_ISA_avx512)
constexpr int kLanes = 16;
#elif defined(MTMD_ISA_avx2)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

using Floats = float __attribute__((vector_size(4 * kLanes)));
using Ints = std::int32_t __attribute__((vector_size(4 * kLanes)));  // also a mask: all bits of a lane set, or none

inline Floats all(float v) { return v - Floats{}; }
inline Floats to_floats(Ints v) { return __builtin_convertvector(v, Floats); }
inline Floats magnitude(Floats v) { return (Floats)((Ints)v & 0x7fffffff); }

#if defined(MTMD_ISA_avx512)
inline Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats smaller(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats square_root(Floats v) { return _mm512_sqrt_ps(v); }
inline bool any(Ints mask) { return _mm512_movepi32_mask((__m512i)mask) != 0; }
#elif defined(MTMD_ISA_avx2)
inline Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats smaller(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Floats square_root(Floats v) { return _mm256_sqrt_ps(v); }
inline bool any(Ints mask) { return _mm256_movemask_ps((__m256)mask) != 0; }
#elif defined(__x86_64__)
inline Floats larger(Floats a, Floats b) { return _mm_max_ps(a, b); }
inline Floats smaller(Floats a, Floats b) { return _mm_min_ps(a, b); }
inline Floats square_root(Floats v) { return _mm_sqrt_ps(v); }
inline bool any(Ints mask) { return _mm_movemask_ps((__m128)mask) != 0; }
#else
inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }  // b when one is no number, as on x86
inline Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
inline Floats square_root(Floats v) {
  for (int i = 0; i < kLanes; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
}
inline bool any(Ints mask) {
  std::int32_t seen = 0;
  for (int i = 0; i < kLanes; ++i) seen |= mask[i];
  return seen != 0;
}
#endif

// Adding 1.5 * 2^23 leaves the nearest integer (even when halfway) in the low mantissa bits.
constexpr float kRounder = 12582912.0f;

/// The nearest integer of v within [low, high], as a float; |v| < 2^22.
inline Floats nearest(Floats v, float low, float high) {
  return smaller(larger(v + kRounder, all(kRounder + low)), all(kRounder + high)) - kRounder;
}

/// The same for any v: what leaves 23 bits wraps around as in the reference quantiser.
inline Floats nearest_wrapped(Floats v, int low, int high) {
  Ints l = ((Ints)(v + kRounder) & 0x7fffff) - 0x400000;
  l = l < low ? low + Ints{} : l;
  return to_floats(l > high ? high + Ints{} : l);
}

inline int nearest_wrapped(float v, int low, int high) {
  const int l = (__builtin_bit_cast(int, v + kRounder) & 0x7fffff) - 0x400000;
  return l < low ? low : l > high ? high : l;
}

/// The nearest integer, away from zero when halfway; 0 for what is far from any level (infinite, no number).
inline int rounded(float v) {
  v = __builtin_fabsf(v) < 1000 ? v : 0.0f;
  const int whole = static_cast<int>(v);
  const float rest = v - static_cast<float>(whole);  // exact, where v + 0.5 would not be
  return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

/// Lane l of out[i] becomes value i of run first + l; `n_runs` runs of N values lie one after the other in `x`. Lanes
/// past the end repeat the last run.
template <int N>
void transpose(const float* x, int first, int n_runs, Floats* out) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const int run = first + lane < n_runs ? first + lane : n_runs - 1;
    for (int i = 0; i < N; ++i) out[i][lane] = x[run * N + i];
  }
}

/// The opposite direction for one vector: the lanes that exist go to out[first], out[first + 1], …
inline void scatter(Floats v, int first, int n_runs, float* out) {
  for (int lane = 0; lane < kLanes && first + lane < n_runs; ++lane) out[first + lane] = v[lane];
}

}  // namespace
}  // namespace mtmd::quant::ISA
