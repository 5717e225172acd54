// The micro-kernel of integer products: 32 weight rows of a panel times up to kIntTokens tokens. For kernel files only.
#pragma once

#include <cstring>

#include "engine/device/cpu/matmul_kernels.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace mtmd::cpu {
namespace {

#if defined(__AVX512VNNI__)

/// Panels hold q + 128: VPDPBUSD multiplies unsigned by signed bytes. ActBlock::offset* takes the 128 out again.
constexpr std::uint32_t kPanelFlip = 0x80808080u;

/// 12 integer and 12 float sums of 16 rows each live in registers; two weight vectors serve T tokens.
template <int T, int kQuads>
inline void add_dots(const std::int8_t* w, const std::int8_t (*a)[kIntTokens][4], __m512i (&sum)[2][T]) noexcept {
#pragma GCC unroll 8
  for (int k = 0; k < kQuads; ++k) {
    const __m512i w0 = _mm512_loadu_si512(w + k * 128), w1 = _mm512_loadu_si512(w + k * 128 + 64);
#pragma GCC unroll 6
    for (int t = 0; t < T; ++t) {
      int quad;
      std::memcpy(&quad, a[k][t], 4);
      const __m512i v = _mm512_set1_epi32(quad);
      sum[0][t] = _mm512_dpbusd_epi32(sum[0][t], w0, v);
      sum[1][t] = _mm512_dpbusd_epi32(sum[1][t], w1, v);
    }
  }
}

template <int T, int kGroup, bool kMin>
void int_tile_n(const IntPanel& p, const ActBlock* a, std::int64_t cols, float* y) noexcept {
  constexpr int kParts = 32 / kGroup, kQuads = kGroup / 4;
  const std::int8_t* w = p.q;
  const float *scale = p.scale, *min = p.min;
  __m512 total[2][T];
#pragma GCC unroll 6
  for (int t = 0; t < T; ++t) total[0][t] = total[1][t] = _mm512_setzero_ps();
  for (std::int64_t b = 0; b < cols / 32; ++b, ++a) {
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      const std::int32_t* offset = kParts == 1 ? a->offset32 : a->offset16[part];
      __m512i sum[2][T];
#pragma GCC unroll 6
      for (int t = 0; t < T; ++t) sum[0][t] = sum[1][t] = _mm512_set1_epi32(offset[t]);
      add_dots<T, kQuads>(w, a->q + part * kQuads, sum);
      w += kQuads * 128;
      const __m512 s0 = _mm512_loadu_ps(scale), s1 = _mm512_loadu_ps(scale + 16);
      scale += kTileRows;
#pragma GCC unroll 6
      for (int t = 0; t < T; ++t) {
        const __m512 d = _mm512_set1_ps(a->d[t]);
        total[0][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[0][t]), _mm512_mul_ps(s0, d), total[0][t]);
        total[1][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[1][t]), _mm512_mul_ps(s1, d), total[1][t]);
      }
      if constexpr (kMin) {
        const float* sums = kParts == 1 ? a->sum32 : a->sum16[part];
        const __m512 m0 = _mm512_loadu_ps(min), m1 = _mm512_loadu_ps(min + 16);
        min += kTileRows;
#pragma GCC unroll 6
        for (int t = 0; t < T; ++t) {
          const __m512 s = _mm512_set1_ps(sums[t]);
          total[0][t] = _mm512_fmadd_ps(m0, s, total[0][t]);
          total[1][t] = _mm512_fmadd_ps(m1, s, total[1][t]);
        }
      }
    }
  }
#pragma GCC unroll 6
  for (int t = 0; t < T; ++t) {
    _mm512_storeu_ps(y + t * kTileRows, total[0][t]);
    _mm512_storeu_ps(y + t * kTileRows + 16, total[1][t]);
  }
}

template <int kGroup, bool kMin>
void int_tile(const IntPanel& p, const ActBlock* a, std::int64_t cols, int tokens, float* y) {
  switch (tokens) {
    case 1:
      return int_tile_n<1, kGroup, kMin>(p, a, cols, y);
    case 2:
      return int_tile_n<2, kGroup, kMin>(p, a, cols, y);
    case 3:
      return int_tile_n<3, kGroup, kMin>(p, a, cols, y);
    case 4:
      return int_tile_n<4, kGroup, kMin>(p, a, cols, y);
    case 5:
      return int_tile_n<5, kGroup, kMin>(p, a, cols, y);
    default:
      return int_tile_n<6, kGroup, kMin>(p, a, cols, y);
  }
}

#elif defined(__AVX2__)

constexpr std::uint32_t kPanelFlip = 0;

/// 8 rows x T tokens; the float sums stay in y (first-level cache). VPMADDUBSW wants unsigned bytes on one side: |w|
/// and a with w's sign, which cannot saturate since |w| <= 128 and |a| <= 127.
template <int T, int kQuads>
inline void add_dots(const std::int8_t* w, const std::int8_t (*a)[kIntTokens][4], __m256i (&sum)[T]) noexcept {
  const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
  for (int k = 0; k < kQuads; ++k) {
    const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + k * 128)), magnitude = _mm256_abs_epi8(q);
#pragma GCC unroll 6
    for (int t = 0; t < T; ++t) {
      int quad;
      std::memcpy(&quad, a[k][t], 4);
      const __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(_mm256_set1_epi32(quad), q));
      sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(pairs, ones));
    }
  }
}

template <int T, int kGroup, bool kMin>
void int_tile_n(const IntPanel& p, const ActBlock* a, std::int64_t cols, float* y) noexcept {
  constexpr int kParts = 32 / kGroup, kQuads = kGroup / 4;
  for (int r = 0; r < kTileRows; r += 8) {
    __m256 total[T];
#pragma GCC unroll 6
    for (int t = 0; t < T; ++t) total[t] = _mm256_setzero_ps();
    for (std::int64_t g = 0; g < cols / kGroup; ++g) {
      const ActBlock& block = a[g / kParts];
      const int part = kParts == 1 ? 0 : static_cast<int>(g % kParts);
      __m256i sum[T];
#pragma GCC unroll 6
      for (int t = 0; t < T; ++t) sum[t] = _mm256_setzero_si256();
      add_dots<T, kQuads>(p.q + (g * kGroup * kTileRows + r * 4), block.q + part * kQuads, sum);
      const __m256 s = _mm256_loadu_ps(p.scale + g * kTileRows + r);
      const __m256 m = kMin ? _mm256_loadu_ps(p.min + g * kTileRows + r) : _mm256_setzero_ps();
      const float* sums = kParts == 1 ? block.sum32 : block.sum16[part];
#pragma GCC unroll 6
      for (int t = 0; t < T; ++t) {
        total[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[t]), _mm256_mul_ps(s, _mm256_set1_ps(block.d[t])), total[t]);
        if constexpr (kMin) total[t] = _mm256_fmadd_ps(m, _mm256_set1_ps(sums[t]), total[t]);
      }
    }
#pragma GCC unroll 6
    for (int t = 0; t < T; ++t) _mm256_storeu_ps(y + t * kTileRows + r, total[t]);
  }
}

/// Six tokens as two times three: 16 registers hold no more.
template <int kGroup, bool kMin>
void int_tile(const IntPanel& p, const ActBlock* a, std::int64_t cols, int tokens, float* y) {
  switch (tokens) {
    case 1:
      return int_tile_n<1, kGroup, kMin>(p, a, cols, y);
    case 2:
      return int_tile_n<2, kGroup, kMin>(p, a, cols, y);
    case 3:
      return int_tile_n<3, kGroup, kMin>(p, a, cols, y);
    case 4:
      return int_tile_n<4, kGroup, kMin>(p, a, cols, y);
    case 5:
      return int_tile_n<5, kGroup, kMin>(p, a, cols, y);
    default:
      return int_tile_n<6, kGroup, kMin>(p, a, cols, y);
  }
}

#else

constexpr std::uint32_t kPanelFlip = 0;

/// Plain loops over the 32 rows, which the compiler turns into whatever vectors the machine has.
template <int kGroup, bool kMin>
void int_tile(const IntPanel& p, const ActBlock* a, std::int64_t cols, int tokens, float* y) {
  constexpr int kParts = 32 / kGroup, kQuads = kGroup / 4;
  std::memset(y, 0, static_cast<std::size_t>(tokens) * kTileRows * sizeof(float));
  for (std::int64_t g = 0; g < cols / kGroup; ++g) {
    const ActBlock& block = a[g / kParts];
    const int part = kParts == 1 ? 0 : static_cast<int>(g % kParts);
    const std::int8_t* w = p.q + g * kGroup * kTileRows;
    const float* scale = p.scale + g * kTileRows;
    for (int t = 0; t < tokens; ++t) {
      std::int32_t sum[kTileRows] = {};
      for (int k = 0; k < kQuads; ++k) {
        const std::int8_t* q = block.q[part * kQuads + k][t];
        for (int r = 0; r < kTileRows; ++r) {
          const std::int8_t* v = w + k * 128 + r * 4;
          sum[r] += v[0] * q[0] + v[1] * q[1] + v[2] * q[2] + v[3] * q[3];
        }
      }
      float* out = y + t * kTileRows;
      const float d = block.d[t];
      for (int r = 0; r < kTileRows; ++r) out[r] += scale[r] * d * static_cast<float>(sum[r]);
      if constexpr (kMin) {
        const float s = kParts == 1 ? block.sum32[t] : block.sum16[part][t];
        const float* min = p.min + g * kTileRows;
        for (int r = 0; r < kTileRows; ++r) out[r] += min[r] * s;
      }
    }
  }
}

#endif

}  // namespace
}  // namespace mtmd::cpu
