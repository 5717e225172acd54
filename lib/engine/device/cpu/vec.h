// One register of floats, for kernel files that are compiled per instruction set (dispatch.h). Compiler vectors rather
// than intrinsics: the same source serves SSE, AVX2, AVX-512 and, unnamed, NEON. Everything is file-local.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
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

/// Lanes are added pairwise, always in the same order.
MTMD_INLINE float sum(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  return lanes[0];
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
