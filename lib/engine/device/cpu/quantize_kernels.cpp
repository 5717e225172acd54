// Activations to int8, 32 values to a scale.
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "engine/device/cpu/isa_functions.h"

namespace mtmd::cpu::ISA {
namespace {

/// 32 values rounded: q = rint(x / d), d = max|x| / 127. A NaN or infinity makes d NaN and q zero.
struct Rounded {
  alignas(32) std::int8_t q[32];
  alignas(32) std::int32_t quads[8];  ///< sums of four q
  float d;

  int half(int i) const noexcept { return quads[4 * i] + quads[4 * i + 1] + quads[4 * i + 2] + quads[4 * i + 3]; }
};

/// What to multiply by; 0 below 2^-120, where the inverse would overflow and values are zero for every purpose.
inline float inverse_step(float max) noexcept { return max > 0x1p-120f ? 127.0f / max : 0.0f; }

#if defined(__AVX2__)

inline void round32(const float* x, Rounded& r) noexcept {
  __m256 v[4];
  __m256i top = _mm256_setzero_si256();  // magnitudes order like their bits
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_loadu_ps(x + 8 * i);
    top = _mm256_max_epi32(top, _mm256_and_si256(_mm256_castps_si256(v[i]), _mm256_set1_epi32(0x7fffffff)));
  }
  __m128i m = _mm_max_epi32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
  const float max = _mm_cvtss_f32(_mm_castsi128_ps(m));
  __m256i q8 = _mm256_setzero_si256();
  if (_mm_cvtsi128_si32(m) < 0x7f800000) [[likely]] {
    const __m256 inverse = _mm256_set1_ps(inverse_step(max));
    __m256i n[4];
    for (int i = 0; i < 4; ++i) n[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
    q8 = _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]), _mm256_packs_epi32(n[2], n[3]));
    q8 = _mm256_permutevar8x32_epi32(q8, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    r.d = max / 127.0f;
  } else {
    r.d = __builtin_nanf("");
  }
  _mm256_store_si256(reinterpret_cast<__m256i*>(r.q), q8);
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q8);
  _mm256_store_si256(reinterpret_cast<__m256i*>(r.quads), _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#else

inline void round32(const float* x, Rounded& r) noexcept {
  std::int32_t top = 0;
  for (int i = 0; i < 32; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7fffffff;
    top = bits > top ? bits : top;
  }
  std::memset(r.q, 0, sizeof r.q);
  r.d = __builtin_nanf("");
  if (top < 0x7f800000) {
    const float max = __builtin_bit_cast(float, top), inverse = inverse_step(max);
    for (int i = 0; i < 32; ++i)
      r.q[i] = static_cast<std::int8_t>(static_cast<std::int32_t>(__builtin_rintf(x[i] * inverse)));
    r.d = max / 127.0f;
  }
  for (int i = 0; i < 8; ++i) r.quads[i] = r.q[4 * i] + r.q[4 * i + 1] + r.q[4 * i + 2] + r.q[4 * i + 3];
}

#endif

/// Group g of a step.
inline void put_group(const Rounded& r, int g, ActQuads& step) noexcept {
  const int lane = g / 2 + g % 2 * 4, halves[2] = {r.half(0), r.half(1)};
  for (int i = 0; i < 8; ++i) std::memcpy(step.q[i][lane], r.q + 4 * i, 4);
  step.d[lane] = r.d;
  step.sum32[lane] = r.d * static_cast<float>(halves[0] + halves[1]);
  step.offset32[lane] = -128 * (halves[0] + halves[1]);
  for (int h = 0; h < 2; ++h) {
    step.sum16[h][lane] = r.d * static_cast<float>(halves[h]);
    step.offset16[h][lane] = -128 * halves[h];
  }
}

}  // namespace

void quantize_row(const float* x, std::int64_t cols, const ActRow& act) {
  const std::int64_t pad = (256 - cols % 256) % 256;
  std::memset(act.q + cols, 0, static_cast<std::size_t>(pad));
  std::memset(act.offset4 + cols / 4, 0, static_cast<std::size_t>(pad));
  std::memset(act.d + cols / 32, 0, static_cast<std::size_t>(pad / 8));
  std::memset(act.sum32 + cols / 32, 0, static_cast<std::size_t>(pad / 8));
  std::memset(act.sum16 + cols / 16, 0, static_cast<std::size_t>(pad / 4));
  if (pad > 0) std::memset(act.d_sum + cols / 256 * 16, 0, 16 * sizeof(float));
  const std::int64_t whole = cols / 128 * 128;  // runs that are not whole have gaps
  std::memset(act.q_pairs + whole, 0, static_cast<std::size_t>(cols + pad - whole));
  std::memset(act.offset_pairs + whole / 8, 0, static_cast<std::size_t>(cols + pad - whole) / 2);
  if (act.quads != nullptr && pad > 0) std::memset(act.quads + cols / 256, 0, sizeof(ActQuads));
  for (std::int64_t b = 0; b < cols / 32; ++b) {
    Rounded r;
    round32(x + b * 32, r);
    if (act.quads != nullptr) put_group(r, static_cast<int>(b % 8), act.quads[b / 8]);
    std::memcpy(act.q + b * 32, r.q, 32);
    const int s0 = r.half(0), s1 = r.half(1);
    act.d[b] = r.d;
    act.sum16[2 * b] = r.d * static_cast<float>(s0);
    act.sum16[2 * b + 1] = r.d * static_cast<float>(s1);
    act.sum32[b] = r.d * static_cast<float>(s0 + s1);
    for (int i = 0; i < 8; ++i) act.offset4[b * 8 + i] = -128 * r.quads[i];
    const std::int64_t run = b / 4 * 128 + b % 4 * 16;
    std::memcpy(act.q_pairs + run, r.q, 16);
    std::memcpy(act.q_pairs + run + 64, r.q + 16, 16);
    for (int i = 0; i < 4; ++i) act.offset_pairs[b * 4 + i] = -128 * (r.quads[i] + r.quads[4 + i]);
    float* step = act.d_sum + b / 8 * 16 + b % 8;
    step[0] = act.d[b], step[8] = act.sum32[b];
  }
}

void quantize_group(const float* const* x, int tokens, std::int64_t cols, ActBlock* acts) {
  for (std::int64_t b = 0; b < cols / 32; ++b) {
    ActBlock& block = acts[b];
    if (tokens < kIntTokens) std::memset(&block, 0, sizeof block);
    for (int t = 0; t < tokens; ++t) {
      Rounded r;
      round32(x[t] + b * 32, r);
      for (int i = 0; i < 8; ++i) std::memcpy(block.q[i][t], r.q + 4 * i, 4);
      const int s0 = r.half(0), s1 = r.half(1);
      block.d[t] = r.d;
      block.offset32[t] = -128 * (s0 + s1);
      block.sum32[t] = r.d * static_cast<float>(s0 + s1);
      block.offset16[0][t] = -128 * s0;
      block.offset16[1][t] = -128 * s1;
      block.sum16[0][t] = r.d * static_cast<float>(s0);
      block.sum16[1][t] = r.d * static_cast<float>(s1);
    }
  }
}

}  // namespace mtmd::cpu::ISA
