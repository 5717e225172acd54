// One-token products with AVX-512 VNNI, 256 values a step. For kernel files only.
#pragma once

#include "engine/device/cpu/int_formats_avx512.h"
#include "engine/device/cpu/matmul_kernels.h"

namespace mtmd::cpu {
namespace {

/// Lane l of register i reads the scale of its group: 16 lanes are 64 values, i.e. two groups of 32 or four of 16.
template <int kGroup>
inline __m512i scale_index(int i) noexcept {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_add_epi32(_mm512_srli_epi32(lane, kGroup == 32 ? 3 : 2), _mm512_set1_epi32(i * 64 / kGroup));
}

struct DotSums {
  __m512 products[2], mins;
};

/// Adds one step at value k of the activations. Groups outside `valid` are not the row's: their scales may be anything.
template <class F>
inline void dot_step(const Byte* b, const ActRow& x, std::int64_t k, DotSums& sums, __mmask16 valid = 0xffff) noexcept {
  using W = Wide<F>;
  Scales s = W::scales(b);
  s = {_mm512_maskz_mov_ps(valid, s.scale), _mm512_maskz_mov_ps(valid, s.min)};
  __m512 d = _mm512_zextps256_ps512(_mm256_loadu_ps(x.d + k / 32));
  __m512 sum_x;
  if constexpr (F::group == 16) {
    d = _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), d);
    sum_x = _mm512_loadu_ps(x.sum16 + k / 16);
  } else {
    sum_x = _mm512_zextps256_ps512(_mm256_loadu_ps(x.sum32 + k / 32));
  }
  const __m512 scale = _mm512_mul_ps(s.scale, d);
  if constexpr (F::has_min) sums.mins = _mm512_fmadd_ps(s.min, sum_x, sums.mins);
  // Small offsets are taken out in f32; 128 would cost digits there and is taken out of the integer sums.
  constexpr bool kExact = W::offset == 128;
  if constexpr (W::offset != 0 && !kExact)
    sums.mins = _mm512_fnmadd_ps(_mm512_mul_ps(s.scale, _mm512_set1_ps(W::offset)), sum_x, sums.mins);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i start = kExact ? _mm512_loadu_si512(x.offset4 + k / 4 + i * 16) : _mm512_setzero_si512();
    const __m512i dot = _mm512_dpbusd_epi32(start, W::load(b, i), _mm512_loadu_si512(x.q + k + i * 64));
    sums.products[i % 2] = _mm512_fmadd_ps(
        _mm512_cvtepi32_ps(dot), _mm512_permutexvar_ps(scale_index<F::group>(i), scale), sums.products[i % 2]);
  }
}

/// Asks for what the step `kAhead` bytes on will read. Hardware prefetchers stop at the end of a page, these do not.
template <int kBytes>
inline void prefetch(const Byte* b) noexcept {
  constexpr int kAhead = 4096;
#pragma GCC unroll 8
  for (int at = 0; at < kBytes; at += 64) _mm_prefetch(reinterpret_cast<const char*>(b) + kAhead + at, _MM_HINT_T0);
}

template <class F>
void dot_rows(const std::byte* w, std::size_t row_bytes, std::int64_t rows, std::int64_t cols, const ActRow& x,
              float* y) {
  const std::int64_t whole = cols / kStepValues * kStepValues;
  const Byte *begin = reinterpret_cast<const Byte*>(w), *end = begin + static_cast<std::size_t>(rows) * row_bytes;
  for (std::int64_t r = 0; r < rows; ++r) {
    const Byte *b = begin + static_cast<std::size_t>(r) * row_bytes, *row_end = b + row_bytes;
    DotSums sums = {{_mm512_setzero_ps(), _mm512_setzero_ps()}, _mm512_setzero_ps()};
    for (std::int64_t k = 0; k < whole; k += kStepValues, b += kStepBytes<F>) {
      prefetch<kStepBytes<F>>(b);
      dot_step<F>(b, x, k, sums);
    }
    if (b < row_end) {  // fewer blocks than a step: read on into the next rows where there are any
      const auto valid = static_cast<__mmask16>((1u << ((cols - whole) / F::group)) - 1);
      alignas(64) Byte tail[kStepBytes<F>];
      const bool readable = end - b >= kStepBytes<F>;
      if (!readable) copy_tail<F>(b, cols - whole, tail);
      dot_step<F>(readable ? b : tail, x, whole, sums, valid);
    }
    y[r] = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums.products[0], sums.products[1]), sums.mins));
  }
}

}  // namespace
}  // namespace mtmd::cpu
