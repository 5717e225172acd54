// One register of floats, for kernel files that are compiled per instruction set (dispatch.h). Compiler vectors rather
// than intrinsics: the same source serves SSE, AVX2, AVX-512 and, unnamed, NEON. Everything is file-local.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(MTMD_ISA_amx)  // avx512 and tile registers
#define MTMD_ISA_avx512 1
#endif

namespace mtmd::cpu::ISA {
namespace {

#if defined(MTMD_ISA_avx512)
constexpr int kLanes = 16;
#elif defined(MTMD_ISA_avx2)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

#define MTMD_INLINE [[gnu::always_inline, maybe_unused]] inline

using Vec = float __attribute__((vector_size(4 * kLanes)));
using IVec = std::int32_t __attribute__((vector_size(4 * kLanes)));
using LooseVec = float __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

MTMD_INLINE Vec splat(float v) { return v - Vec{}; }
MTMD_INLINE Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
MTMD_INLINE void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }
MTMD_INLINE IVec bits(Vec v) { return reinterpret_cast<IVec>(v); }
MTMD_INLINE Vec from_bits(IVec v) { return reinterpret_cast<Vec>(v); }

/// Below a whole register: the lanes from n on read `fill` and are not written.
MTMD_INLINE Vec load_part(const float* p, std::int64_t n, float fill = 0.0f) {
#if defined(MTMD_ISA_avx512)
  return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), static_cast<__mmask16>((1u << n) - 1), p);
#else
  Vec v = splat(fill);
  std::memcpy(&v, p, static_cast<std::size_t>(n) * sizeof(float));
  return v;
#endif
}
MTMD_INLINE void store_part(float* p, Vec v, std::int64_t n) {
#if defined(MTMD_ISA_avx512)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
#else
  std::memcpy(p, &v, static_cast<std::size_t>(n) * sizeof(float));
#endif
}

/// b where a lane of a is NaN.
MTMD_INLINE Vec max(Vec a, Vec b) {
#if defined(MTMD_ISA_avx512)
  return _mm512_max_ps(a, b);
#elif defined(MTMD_ISA_avx2)
  return _mm256_max_ps(a, b);
#elif defined(__x86_64__)
  return _mm_max_ps(a, b);
#else
  return a > b ? a : b;
#endif
}
MTMD_INLINE Vec min(Vec a, Vec b) {
#if defined(MTMD_ISA_avx512)
  return _mm512_min_ps(a, b);
#elif defined(MTMD_ISA_avx2)
  return _mm256_min_ps(a, b);
#elif defined(__x86_64__)
  return _mm_min_ps(a, b);
#else
  return a < b ? a : b;
#endif
}

MTMD_INLINE Vec abs(Vec v) { return from_bits(bits(v) & 0x7fffffff); }

/// Four lanes, whatever the width of a register: halves are added until four are left.
using Vec4 = float __attribute__((vector_size(16)));
MTMD_INLINE Vec4 folded(Vec v) {
#if defined(MTMD_ISA_avx512)
  const auto half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                    __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  return __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
#elif defined(MTMD_ISA_avx2)
  return __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#else
  return v;
#endif
}
/// The sums of four registers. Lanes are added in the order that sum() adds them.
MTMD_INLINE Vec4 sums(Vec a, Vec b, Vec c, Vec d) {
  const Vec4 p = folded(a), q = folded(b), r = folded(c), s = folded(d);
  const Vec4 pq_low = __builtin_shufflevector(p, q, 0, 4, 1, 5), pq_high = __builtin_shufflevector(p, q, 2, 6, 3, 7);
  const Vec4 rs_low = __builtin_shufflevector(r, s, 0, 4, 1, 5), rs_high = __builtin_shufflevector(r, s, 2, 6, 3, 7);
  const Vec4 pq = pq_low + pq_high, rs = rs_low + rs_high;  // p0 + p2, q0 + q2, p1 + p3, q1 + q3
  return __builtin_shufflevector(pq, rs, 0, 1, 4, 5) + __builtin_shufflevector(pq, rs, 2, 3, 6, 7);
}
/// Lanes are added pairwise, always in the same order.
MTMD_INLINE float sum(Vec v) {
  const Vec4 f = folded(v);
  return (f[0] + f[2]) + (f[1] + f[3]);
}
MTMD_INLINE float highest(Vec v) {
#if defined(MTMD_ISA_avx512)
  return _mm512_reduce_max_ps(v);
#else
  float lanes[kLanes];
  store(lanes, v);
  float m = lanes[0];
  for (int i = 1; i < kLanes; ++i) m = lanes[i] > m ? lanes[i] : m;
  return m;
#endif
}

}  // namespace
}  // namespace mtmd::cpu::ISA
