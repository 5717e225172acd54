// Products of four or eight tokens with two rows at a time: lane g of a register stands for group g of one row, lane 8
// + g for that of the other, so that all values of a group are summed up in integers before anything is converted or
// scaled. For 256 values and one token that takes 6 uses of a port where dot_step takes 12; transposing the weights
// into such registers costs as much again or half of it (int_quads_packed_avx512.h), which several tokens share. For
// kernel files only.
#pragma once

#include "engine/device/cpu/int_format_list.h"
#include "engine/device/cpu/int_quads_packed_avx512.h"
#include "engine/device/cpu/matmul_kernels.h"

namespace mtmd::cpu {
namespace {

constexpr int kAhead = 2048;  ///< bytes; hardware prefetchers stop at the end of a page, these do not

/// Asks for the step at b.
template <class F>
inline void prefetch(const Byte* b) noexcept {
#pragma GCC unroll 8
  for (int at = 0; at < kStepBytes<F>; at += 64) _mm_prefetch(reinterpret_cast<const char*>(b) + at, _MM_HINT_T0);
}

/// w[j]: the quads j of the groups of two rows, as unsigned bytes (q + offset), in the order of ActQuads.
template <class F>
inline void take_quads(const Byte* const (&rows)[2], __m512i (&w)[8]) noexcept {
  if constexpr (requires { PackedQuads<F>::take(rows, w); }) return PackedQuads<F>::take(rows, w);
  __m512i part[2][4];  // [row][j]: quads j and j + 4 of the even, then of the odd groups
#pragma GCC unroll 2
  for (int r = 0; r < 2; ++r) {
    const auto even_odd = [&](int i) { return Wide<F>::load(rows[r], i); };  // groups 2 i and 2 i + 1
    const __m512i a = even_odd(0), b = even_odd(1), c = even_odd(2), d = even_odd(3);
    const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
    part[r][0] = _mm512_unpacklo_epi64(ab_low, cd_low);
    part[r][1] = _mm512_unpackhi_epi64(ab_low, cd_low);
    part[r][2] = _mm512_unpacklo_epi64(ab_high, cd_high);
    part[r][3] = _mm512_unpackhi_epi64(ab_high, cd_high);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    w[j] = _mm512_shuffle_i32x4(part[0][j], part[1][j], 0x88);
    w[j + 4] = _mm512_shuffle_i32x4(part[0][j], part[1][j], 0xdd);
  }
}

/// The scales of both rows in the order of ActQuads: of the groups of 32, or of half h of each 32 values.
template <int kGroup>
inline __m512 in_order(__m512 first, __m512 second, int h) noexcept {
  const __m512i groups = _mm512_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7, 16, 18, 20, 22, 17, 19, 21, 23);
  const __m512i halves = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 16, 20, 24, 28, 18, 22, 26, 30);
  const __m512i from = kGroup == 32 ? groups : _mm512_add_epi32(halves, _mm512_set1_epi32(h));
  return _mm512_permutex2var_ps(first, from, second);
}

/// Scales and minima of the groups of two rows in the order of ActQuads; for groups of 16 those of half `part` of each
/// 32 values.
template <class F>
struct QuadScales {
  explicit QuadScales(const Byte* const (&rows)[2]) noexcept
      : first(Wide<F>::scales(rows[0])), second(Wide<F>::scales(rows[1])) {}
  __m512 scale(int part) const noexcept { return in_order<F::group>(first.scale, second.scale, part); }
  __m512 min(int part) const noexcept { return in_order<F::group>(first.min, second.min, part); }
  Scales first, second;
};

/// Both blocks' 6-bit numbers at once.
struct QuadScalesK4 {
  explicit QuadScalesK4(const Byte* const (&rows)[2]) noexcept {
    const auto each = [](__m128i v) { return _mm256_broadcastsi128_si256(v); };
    const __m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(rows[0])), load128(rows[1]), 1);
    // Eight scales, eight minima. Of the first four of both the low six bits of a byte, of the others four bits ...
    const __m256i from = each(_mm_setr_epi8(4, 6, 12, 14, 5, 7, 13, 15, 8, 10, 12, 14, 9, 11, 13, 15));
    const __m256i low = _mm256_srlv_epi16(_mm256_shuffle_epi8(v, from), each(_mm_setr_epi16(0, 0, 0, 0, 0, 4, 0, 4)));
    // ... and the two bits that the bytes of the first four have left.
    const __m256i rest = each(_mm_setr_epi8(-1, -1, 4, 6, -1, -1, 5, 7, -1, -1, 8, 10, -1, -1, 9, 11));
    const __m256i high = _mm256_srli_epi16(_mm256_shuffle_epi8(v, rest), 2);
    const __m256i six = _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi32(0x0f0f3f3f)),
                                        _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
    const __m256i all = _mm256_permute4x64_epi64(six, 0xd8);  // scales of both rows, minima of both rows
    const auto floats = [](__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)); };
    const __m256i d = _mm256_shuffle_epi8(v, _mm256_set1_epi16(0x0100));
    const __m256i dmin = _mm256_shuffle_epi8(v, _mm256_set1_epi16(0x0302));
    scales = _mm512_mul_ps(_mm512_cvtph_ps(d), floats(_mm256_castsi256_si128(all)));
    mins = _mm512_mul_ps(_mm512_cvtph_ps(_mm256_xor_si256(dmin, _mm256_set1_epi16(static_cast<short>(0x8000)))),
                         floats(_mm256_extracti128_si256(all, 1)));
  }
  __m512 scale(int) const noexcept { return scales; }
  __m512 min(int) const noexcept { return mins; }
  __m512 scales, mins;
};
template <>
struct QuadScales<Q4_K> : QuadScalesK4 {
  using QuadScalesK4::QuadScalesK4;
};
template <>
struct QuadScales<Q5_K> : QuadScalesK4 {
  using QuadScalesK4::QuadScalesK4;
};

inline __m512 both(const float* p) noexcept { return _mm512_broadcast_f32x8(_mm256_load_ps(p)); }
inline __m512i both(const void* p) noexcept {
  return _mm512_broadcast_i32x8(_mm256_load_si256(static_cast<const __m256i*>(p)));
}

/// The lanes of the first n groups of both rows.
inline __mmask16 first_groups(std::int64_t n) noexcept {
  constexpr std::uint8_t kLanes[] = {0x00, 0x01, 0x11, 0x13, 0x33, 0x37, 0x77, 0x7f};
  return static_cast<__mmask16>(kLanes[n] * 0x101);
}

/// Adds 256 values of two rows; only lanes in `valid` count.
template <class F, int T>
inline void quad_step(const Byte* const (&rows)[2], __mmask16 valid, const ActRow* x, std::int64_t step,
                      __m512 (&sum)[T]) noexcept {
  using W = Wide<F>;
  constexpr int kParts = 32 / F::group, kQuads = 8 / kParts;
  // Small offsets are taken out in f32; 128 would cost digits there and is taken out of the integer sums.
  constexpr bool kExact = W::offset == 128, kMin = F::has_min || (W::offset != 0 && !kExact);
  __m512i w[8];
  take_quads<F>(rows, w);
  const QuadScales<F> scales(rows);
#pragma GCC unroll 2
  for (int part = 0; part < kParts; ++part) {
    const __m512 scale = _mm512_maskz_mov_ps(valid, scales.scale(part));
    __m512 min = F::has_min ? _mm512_maskz_mov_ps(valid, scales.min(part)) : _mm512_setzero_ps();
    if constexpr (kMin && W::offset != 0) min = _mm512_fnmadd_ps(scale, _mm512_set1_ps(W::offset), min);
    // Enough sums grow side by side to hide the time that each addition takes.
    constexpr int kSums = T < 8 ? 2 : 1;
    __m512i dot[T][kSums];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      const ActQuads& a = x[t].quads[step];
      dot[t][0] = kExact ? both(kParts == 1 ? a.offset32 : a.offset16[part]) : _mm512_setzero_si512();
      if constexpr (kSums == 2) dot[t][1] = _mm512_setzero_si512();
    }
#pragma GCC unroll 8
    for (int j = 0; j < kQuads; ++j)
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        __m512i& d = dot[t][j % kSums];
        d = _mm512_dpbusd_epi32(d, w[part * kQuads + j], both(&x[t].quads[step].q[part * kQuads + j]));
      }
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      const ActQuads& a = x[t].quads[step];
      if constexpr (kSums == 2) dot[t][0] = _mm512_add_epi32(dot[t][0], dot[t][1]);
      sum[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t][0]), _mm512_mul_ps(scale, both(a.d)), sum[t]);
      if constexpr (kMin) sum[t] = _mm512_fmadd_ps(min, both(kParts == 1 ? a.sum32 : a.sum16[part]), sum[t]);
    }
  }
}

/// The lanes of four tokens added up: 128-bit lane 0 is the first row, lane 2 the second.
inline __m512 add_lanes(const __m512* sum) noexcept {
  const auto pairs = [](__m512 a, __m512 b) {
    return _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
  };
  const __m512d low = pairs(sum[0], sum[1]), high = pairs(sum[2], sum[3]);
  const __m512 fours =
      _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)), _mm512_castpd_ps(_mm512_unpackhi_pd(low, high)));
  return _mm512_add_ps(fours, _mm512_shuffle_f32x4(fours, fours, 0xb1));
}

/// The two rows belong to two runs of neighbours (see dot_rows_of), which overlap where their number is odd.
template <class F, int T>
void dot_row_pairs(const std::byte* w, std::size_t row_bytes, std::int64_t rows, std::int64_t cols, const ActRow* x,
                   float* y, std::int64_t pitch) noexcept {
  const std::int64_t length = (rows + 1) / 2, steps = cols / kStepValues, left = cols & (kStepValues - 1);
  const Byte *begin = reinterpret_cast<const Byte*>(w), *end = begin + static_cast<std::size_t>(rows) * row_bytes;
  for (std::int64_t r = 0; r < length; ++r) {
    const std::int64_t at[2] = {r, rows - length + r};
    const Byte* b[2] = {begin + static_cast<std::size_t>(at[0]) * row_bytes,
                        begin + static_cast<std::size_t>(at[1]) * row_bytes};
    __m512 sum[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) sum[t] = _mm512_setzero_ps();
    for (std::int64_t k = 0; k < steps; ++k) {
      prefetch<F>(b[0] + kAhead);
      prefetch<F>(b[1] + kAhead);
      quad_step<F, T>(b, 0xffff, x, k, sum);
      b[0] += kStepBytes<F>;
      b[1] += kStepBytes<F>;
    }
    if (left > 0) {  // fewer blocks than a step
      alignas(64) Byte tails[2][kStepBytes<F>];
      whole_tails<F>(b, end, left, tails);
      quad_step<F, T>(b, first_groups(left / 32), x, steps, sum);
    }
#pragma GCC unroll 2
    for (int t = 0; t < T; t += 4) {
      alignas(64) float lanes[16];
      _mm512_store_ps(lanes, add_lanes(sum + t));
      for (int i = 0; i < 4; ++i)
        for (int row = 0; row < 2; ++row) y[(t + i) * pitch + at[row]] = lanes[row * 8 + i];
    }
  }
}

}  // namespace
}  // namespace mtmd::cpu
