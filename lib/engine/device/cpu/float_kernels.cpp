// Products in f32: weight panels [k][32], groups of tokens [k][T], sums in registers.
#include <cstring>

#include "engine/device/cpu/half_bits.h"
#include "engine/device/cpu/isa_functions.h"
#include "engine/device/cpu/transpose.h"

namespace mtmd::cpu::ISA {
namespace {

#if defined(__AVX512F__)
using Vec = __m512;
constexpr int kWidth = 16, kTokens = 12, kRegisters = 32;
inline Vec load(const float* p) noexcept { return _mm512_loadu_ps(p); }
inline void store(float* p, Vec v) noexcept { _mm512_storeu_ps(p, v); }
inline Vec splat(float x) noexcept { return _mm512_set1_ps(x); }
inline Vec fma(Vec a, Vec b, Vec c) noexcept { return _mm512_fmadd_ps(a, b, c); }
inline Vec load_f16(const std::uint16_t* p) noexcept {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline Vec load_bf16(const std::uint16_t* p) noexcept {
  const __m512i v = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
}
#elif defined(__AVX2__)
using Vec = __m256;
constexpr int kWidth = 8, kTokens = 6, kRegisters = 16;
inline Vec load(const float* p) noexcept { return _mm256_loadu_ps(p); }
inline void store(float* p, Vec v) noexcept { _mm256_storeu_ps(p, v); }
inline Vec splat(float x) noexcept { return _mm256_set1_ps(x); }
inline Vec fma(Vec a, Vec b, Vec c) noexcept { return _mm256_fmadd_ps(a, b, c); }
inline Vec load_f16(const std::uint16_t* p) noexcept {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline Vec load_bf16(const std::uint16_t* p) noexcept {
  const __m256i v = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
}
#else
// GCC's and Clang's own vectors: SSE2, NEON or whatever the baseline has.
typedef float Vec __attribute__((vector_size(16), aligned(4)));
constexpr int kWidth = 4, kTokens = 6, kRegisters = 16;
inline Vec load(const float* p) noexcept { return load_as<Vec>(p); }
inline void store(float* p, Vec v) noexcept { std::memcpy(p, &v, sizeof v); }
inline Vec splat(float x) noexcept { return Vec{x, x, x, x}; }
inline Vec fma(Vec a, Vec b, Vec c) noexcept { return a * b + c; }
inline float widen(std::uint16_t bits) noexcept {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
}
inline Vec load_f16(const std::uint16_t* p) noexcept {
  return Vec{half_to_float(p[0]), half_to_float(p[1]), half_to_float(p[2]), half_to_float(p[3])};
}
inline Vec load_bf16(const std::uint16_t* p) noexcept {
  return Vec{widen(p[0]), widen(p[1]), widen(p[2]), widen(p[3])};
}
#endif

inline float sum(Vec v) noexcept {
  float lanes[kWidth];
  store(lanes, v);
  for (int n = kWidth / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) lanes[i] += lanes[i + n];
  return lanes[0];
}

/// 2 vectors of rows x T tokens in registers; y gains the products of `cols` steps.
template <int T>
void tile_n(const float* w, const float* a, std::int64_t cols, float* y) noexcept {
  for (int r = 0; r < kTileRows; r += 2 * kWidth) {
    Vec s[2][T];
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) {
      s[0][t] = load(y + t * kTileRows + r);
      s[1][t] = load(y + t * kTileRows + r + kWidth);
    }
    const float *p = w + r, *x = a;
    for (std::int64_t k = 0; k < cols; ++k, p += kTileRows, x += kTokens) {
      const Vec w0 = load(p), w1 = load(p + kWidth);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) {
        const Vec v = splat(x[t]);
        s[0][t] = fma(w0, v, s[0][t]);
        s[1][t] = fma(w1, v, s[1][t]);
      }
    }
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) {
      store(y + t * kTileRows + r, s[0][t]);
      store(y + t * kTileRows + r + kWidth, s[1][t]);
    }
  }
}

/// Picks the instance for `tokens`, T or fewer.
template <int T>
void tile_of(const float* w, const float* a, std::int64_t cols, int tokens, float* y) noexcept {
  if constexpr (T > 1) {
    if (tokens < T) return tile_of<T - 1>(w, a, cols, tokens, y);
  }
  tile_n<T>(w, a, cols, y);
}

/// Products of T tokens with R rows of `cols` values that lie one after the other. Memory is read fastest along several
/// pages at once; a weight is widened once for all tokens; sums enough grow side by side that none has to wait.
template <int R, int T, class W, Vec (*kLoad)(const W*), float (*kLoadOne)(W)>
inline void dot_some(const W* w, std::int64_t cols, const float* const* x, float* y, std::int64_t pitch) noexcept {
  // Asked for in time, across the ends of pages and rows (the next R rows follow). Nothing is read there.
  constexpr std::int64_t kAhead = 1024 / sizeof(W), kLine = 64 / sizeof(W),
                         kStep = kLine > 2 * kWidth ? kLine : 2 * kWidth;
  constexpr int kSums = T == 1 ? 2 : 1;
  Vec s[R][T][kSums];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t)
      for (int j = 0; j < kSums; ++j) s[r][t][j] = splat(0);
  std::int64_t i = 0;
  for (; i + kStep <= cols; i += kStep) {
    const W* ahead = w + i + kAhead + (i + kAhead < cols ? 0 : (R - 1) * cols);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
      for (std::int64_t at = 0; at < kStep; at += kLine) __builtin_prefetch(ahead + r * cols + at);
#pragma GCC unroll 8
    for (std::int64_t k = 0; k < kStep; k += kWidth) {
      Vec v[T];
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) v[t] = load(x[t] + i + k);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const Vec weight = kLoad(w + r * cols + i + k);
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
          Vec& to = s[r][t][k / kWidth % kSums];
          to = fma(weight, v[t], to);
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) {
      Vec lanes = s[r][t][0];
      for (int j = 1; j < kSums; ++j) lanes = lanes + s[r][t][j];
      float total = sum(lanes);
      for (std::int64_t k = i; k < cols; ++k) total += kLoadOne(w[r * cols + k]) * x[t][k];
      y[t * pitch + r] = total;
    }
}

/// Picks the instance for `tokens`, T or fewer.
template <class W, Vec (*kLoad)(const W*), float (*kLoadOne)(W), int T = kFloatDotTokens>
void dot(const W* w, std::int64_t rows, std::int64_t cols, const float* const* x, int tokens, float* y,
         std::int64_t pitch) noexcept {
  if constexpr (T > 1) {
    if (tokens < T) return dot<W, kLoad, kLoadOne, T - 1>(w, rows, cols, x, tokens, y, pitch);
  }
  constexpr int kRows = T * 4 <= kRegisters / 2 ? 4 : 2;
  std::int64_t r = 0;
  for (; r + kRows <= rows; r += kRows) dot_some<kRows, T, W, kLoad, kLoadOne>(w + r * cols, cols, x, y + r, pitch);
  for (; r < rows; ++r) dot_some<1, T, W, kLoad, kLoadOne>(w + r * cols, cols, x, y + r, pitch);
}

inline float one_f32(float x) noexcept { return x; }
inline float one_f16(std::uint16_t x) noexcept { return half_to_float(x); }
inline float one_bf16(std::uint16_t x) noexcept {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(x) << 16);
}

}  // namespace

int float_tokens() { return kTokens; }

void pack_float(const float* const* x, int tokens, std::int64_t cols, float* y) {
  if (tokens < kTokens) std::memset(y, 0, static_cast<std::size_t>(cols) * kTokens * sizeof(float));
  for (std::int64_t k = 0; k < cols; k += 64) {  // a few lines of every row at a time
    const std::int64_t end = k + 64 < cols ? k + 64 : cols;
    for (int t = 0; t < tokens; ++t)
      for (std::int64_t i = k; i < end; ++i) y[i * kTokens + t] = x[t][i];
  }
}

void from_f16(const std::uint16_t* x, std::int64_t n, float* y) {
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, load_f16(x + i));
  for (; i < n; ++i) y[i] = half_to_float(x[i]);
}

void from_bf16(const std::uint16_t* x, std::int64_t n, float* y) {
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, load_bf16(x + i));
  for (; i < n; ++i) y[i] = one_bf16(x[i]);
}

void float_panel(const float* w, std::size_t pitch, int rows, std::int64_t cols, float* panel) {
  const std::int64_t whole = rows == kTileRows ? cols / 16 * 16 : 0;
  transpose32(w, pitch * sizeof(float), whole, 0, panel);
  for (std::int64_t k = whole; k < cols; ++k)
    for (int r = 0; r < kTileRows; ++r)
      panel[k * kTileRows + r] = r < rows ? w[static_cast<std::size_t>(r) * pitch + k] : 0.0f;
}

void float_tile(const float* panel, const float* acts, std::int64_t cols, int tokens, float* y) {
  tile_of<kTokens>(panel, acts, cols, tokens, y);
}

void dot_f32(const float* w, std::int64_t rows, std::int64_t cols, const float* const* x, int tokens, float* y,
             std::int64_t pitch) {
  dot<float, load, one_f32>(w, rows, cols, x, tokens, y, pitch);
}
void dot_f16(const std::uint16_t* w, std::int64_t rows, std::int64_t cols, const float* const* x, int tokens, float* y,
             std::int64_t pitch) {
  dot<std::uint16_t, load_f16, one_f16>(w, rows, cols, x, tokens, y, pitch);
}
void dot_bf16(const std::uint16_t* w, std::int64_t rows, std::int64_t cols, const float* const* x, int tokens, float* y,
              std::int64_t pitch) {
  dot<std::uint16_t, load_bf16, one_bf16>(w, rows, cols, x, tokens, y, pitch);
}

}  // namespace mtmd::cpu::ISA
