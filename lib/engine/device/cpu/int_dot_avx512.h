// Products of one and two tokens with AVX-512 VNNI, 256 values a step. For kernel files only.
#pragma once

#include "engine/device/cpu/int_format_list.h"
#include "engine/device/cpu/int_pairs_avx512.h"
#include "engine/device/cpu/int_quads_avx512.h"
#include "engine/device/cpu/matmul_kernels.h"

namespace mtmd::cpu {
namespace {

/// Lane l of register i reads the scale of its group: 16 lanes are 64 values, i.e. two groups of 32 or four of 16.
template <int kGroup>
inline __m512i scale_index(int i) noexcept {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_add_epi32(_mm512_srli_epi32(lane, kGroup == 32 ? 3 : 2), _mm512_set1_epi32(i * 64 / kGroup));
}

/// The scales of a step of n rows.
template <class F>
struct StepScales {
  using Type = Scales;
  template <int n>
  static void take(const Byte* const (&b)[n], Type (&to)[n]) noexcept {
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) to[i] = Wide<F>::scales(b[i]);
  }
  /// Those of the first groups, the others zero.
  static Type first(const Type& s, unsigned groups) noexcept {
    const auto valid = static_cast<__mmask16>((1u << groups) - 1);
    return {_mm512_maskz_mov_ps(valid, s.scale), _mm512_maskz_mov_ps(valid, s.min)};
  }
};

template <HasPairs F>
struct StepScales<F> {
  using Type = __m512;  ///< minima in the upper half
  template <int n>
  static void take(const Byte* const (&b)[n], Type (&to)[n]) noexcept {
    if constexpr (requires { Paired<F>::scales_of_four(b, to); }) {
      Paired<F>::scales_of_four(b, to);
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < n; ++i) to[i] = Paired<F>::scales(b[i]);
    }
  }
  static Type first(Type s, unsigned groups) noexcept {
    const unsigned valid = (1u << groups) - 1;
    return _mm512_maskz_mov_ps(static_cast<__mmask16>(valid | valid << 8), s);
  }
};

/// Adds one step at value k of the activations of T tokens. s: of StepScales.
template <class F, int T>
inline void dot_step(const Byte* b, const Scales& s, const ActRow* x, std::int64_t k, __m512 (&sum)[T]) noexcept {
  using W = Wide<F>;
  // Small offsets are taken out in f32; 128 would cost digits there and is taken out of the integer sums.
  constexpr bool kExact = W::offset == 128;
  __m512 scale[T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    __m512 d = _mm512_zextps256_ps512(_mm256_loadu_ps(x[t].d + k / 32)), sum_x;
    if constexpr (F::group == 16) {
      d = _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), d);
      sum_x = _mm512_loadu_ps(x[t].sum16 + k / 16);
    } else {
      sum_x = _mm512_zextps256_ps512(_mm256_loadu_ps(x[t].sum32 + k / 32));
    }
    scale[t] = _mm512_mul_ps(s.scale, d);
    if constexpr (F::has_min) sum[t] = _mm512_fmadd_ps(s.min, sum_x, sum[t]);
    if constexpr (W::offset != 0 && !kExact)
      sum[t] = _mm512_fnmadd_ps(_mm512_mul_ps(s.scale, _mm512_set1_ps(W::offset)), sum_x, sum[t]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i w = W::load(b, i);
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      const __m512i start = kExact ? _mm512_loadu_si512(x[t].offset4 + k / 4 + i * 16) : _mm512_setzero_si512();
      const __m512i dot = _mm512_dpbusd_epi32(start, w, _mm512_loadu_si512(x[t].q + k + i * 64));
      sum[t] =
          _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_permutexvar_ps(scale_index<F::group>(i), scale[t]), sum[t]);
    }
  }
}

/// The same for formats with pairs of halves.
template <HasPairs F, int T>
inline void dot_step(const Byte* b, __m512 s, const ActRow* x, std::int64_t k, __m512 (&sum)[T]) noexcept {
  constexpr int kOffset = Wide<F>::offset;
  constexpr bool kExact = kOffset == 128;
  __m512 scale[T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    if constexpr (F::has_min) {
      scale[t] = _mm512_mul_ps(s, _mm512_loadu_ps(x[t].d_sum + k / 16));
      sum[t] = _mm512_mask_add_ps(sum[t], 0xff00, sum[t], scale[t]);
    } else {
      const __m256 low = _mm512_castps512_ps256(s);
      scale[t] = _mm512_castps256_ps512(_mm256_mul_ps(low, _mm256_loadu_ps(x[t].d + k / 32)));
      if constexpr (kOffset != 0 && !kExact)
        sum[t] = _mm512_fnmadd_ps(_mm512_zextps256_ps512(_mm256_mul_ps(low, _mm256_set1_ps(kOffset))),
                                  _mm512_zextps256_ps512(_mm256_loadu_ps(x[t].sum32 + k / 32)), sum[t]);
    }
  }
  const __m512i lane = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    const Pair w = Paired<F>::load(b, h);
    const __m512i at = _mm512_add_epi32(lane, _mm512_set1_epi32(4 * h));
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      const std::int8_t* q = x[t].q_pairs + k + h * 128;
      __m512i dot = kExact ? _mm512_loadu_si512(x[t].offset_pairs + k / 8 + h * 16) : _mm512_setzero_si512();
      dot = _mm512_dpbusd_epi32(dot, w.first, _mm512_loadu_si512(q));
      dot = _mm512_dpbusd_epi32(dot, w.second, _mm512_loadu_si512(q + 64));
      sum[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_permutexvar_ps(at, scale[t]), sum[t]);
    }
  }
}

/// What the last columns of kRuns rows add, fewer than a step; `end`: of all rows.
template <class F, int T, int kRuns>
inline void add_tails(const Byte* (&b)[kRuns], const Byte* end, std::int64_t cols, const ActRow* x,
                      __m512 (&sum)[kRuns][T]) noexcept {
  const std::int64_t left = cols & (kStepValues - 1);
  alignas(64) Byte tails[kRuns][kStepBytes<F>];
  whole_tails<F>(b, end, left, tails);
  typename StepScales<F>::Type scales[kRuns];
  StepScales<F>::take(b, scales);
#pragma GCC unroll 4
  for (int i = 0; i < kRuns; ++i)
    dot_step<F, T>(b[i], StepScales<F>::first(scales[i], static_cast<unsigned>(left / F::group)), x, cols - left,
                   sum[i]);
}

/// The rows in kRuns runs of neighbours that are walked side by side: memory is read fastest along several pages at
/// once, and the sums of several rows need not wait for each other. Runs overlap where rows do not divide evenly. The
/// end of a run asks for the beginning of the same run of the chunk that follows.
template <class F, int T, int kRuns>
void dot_rows_of(const std::byte* w, std::size_t row_bytes, std::int64_t rows, std::int64_t cols, const ActRow* x,
                 float* y, std::int64_t pitch) noexcept {
  const std::int64_t length = (rows + kRuns - 1) / kRuns;
  const Byte *begin = reinterpret_cast<const Byte*>(w), *end = begin + static_cast<std::size_t>(rows) * row_bytes;
  std::int64_t first[kRuns];
  const Byte* ends[kRuns];  // from where on kAhead leads out of the run
#pragma GCC unroll 4
  for (int i = 0; i < kRuns; ++i) {
    first[i] = i * length < rows - length ? i * length : rows - length;
    ends[i] = begin + static_cast<std::size_t>(first[i] + length) * row_bytes - kAhead;
  }
  const std::int64_t to_next = kAhead + (rows - length) * static_cast<std::int64_t>(row_bytes);
  for (std::int64_t r = 0; r < length; ++r) {
    const Byte* b[kRuns];
    __m512 sum[kRuns][T];
#pragma GCC unroll 4
    for (int i = 0; i < kRuns; ++i) {
      b[i] = begin + static_cast<std::size_t>(first[i] + r) * row_bytes;
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) sum[i][t] = _mm512_setzero_ps();
    }
    for (std::int64_t k = 0; k + kStepValues <= cols; k += kStepValues) {
      typename StepScales<F>::Type scales[kRuns];
      StepScales<F>::take(b, scales);
#pragma GCC unroll 4
      for (int i = 0; i < kRuns; ++i) {
        const Byte* ahead = b[i] + (b[i] < ends[i] ? kAhead : to_next);
        asm("" : "+r"(ahead));  // or the compiler would choose between two addresses for every line
        prefetch<F>(ahead);
        dot_step<F, T>(b[i], scales[i], x, k, sum[i]);
        b[i] += kStepBytes<F>;
      }
    }
    if constexpr (F::values < kStepValues)
      if (cols % kStepValues != 0) add_tails<F, T, kRuns>(b, end, cols, x, sum);
#pragma GCC unroll 4
    for (int i = 0; i < kRuns; ++i)
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) y[t * pitch + first[i] + r] = _mm512_reduce_add_ps(sum[i][t]);
  }
}

/// Other counts are sums of these: each would cost the compiler as much time again for every format.
template <class F>
void dot_rows(const std::byte* w, std::size_t row_bytes, std::int64_t rows, std::int64_t cols, const ActRow* x,
              int tokens, float* y, std::int64_t pitch) {
  for (int t = 0, n; t < tokens; t += n) {
    const int left = tokens - t;
    n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    const auto dot = n == 8   ? dot_row_pairs<F, 8>
                     : n == 4 ? dot_row_pairs<F, 4>
                     : n == 2 ? dot_rows_of<F, 2, 4>
                              : dot_rows_of<F, 1, 4>;
    dot(w, row_bytes, rows, cols, x + t, y + t * pitch, pitch);
  }
}

constexpr int kDotTokens = 8, kQuadTokens = 4;

}  // namespace
}  // namespace mtmd::cpu
