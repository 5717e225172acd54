// out[k][row] = in[row][k] for 4-byte items, the step that turns weight rows into a panel. For kernel files only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace mtmd::cpu {
namespace {

#if defined(__AVX512F__)

/// 16 rows of 16 items, in place: afterwards v[k] holds item k of every row.
inline void transpose16(__m512i* v) noexcept {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    v[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    v[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/// out[k * out_pitch + row] = in[row * pitch + k] for 16 rows, those in `lanes` alone, and the first n <= 16 items.
inline void transpose16(const float* in, std::int64_t pitch, std::int64_t n, __mmask16 lanes, float* out,
                        std::int64_t out_pitch) noexcept {
  __m512i v[16];
  for (int row = 0; row < 16; ++row) v[row] = _mm512_loadu_si512(in + row * pitch);
  transpose16(v);
  for (std::int64_t k = 0; k < n; ++k) _mm512_mask_storeu_epi32(out + k * out_pitch, lanes, v[k]);
}

#elif defined(__AVX2__)

/// 8 rows of 8 items, in place.
inline void transpose8(__m256i* v) noexcept {
  __m256i t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    v[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm256_permute2x128_si256(v[i], v[i + 4], 0x20);
    t[i + 4] = _mm256_permute2x128_si256(v[i], v[i + 4], 0x31);
  }
  for (int i = 0; i < 8; ++i) v[i] = t[i];
}

#endif

/// 32 rows of n items, `pitch` bytes apart, to out[n][32] (128 bytes apart). `flip` is xored into every item.
/// Reads whole vectors of up to 64 bytes: rows must be readable up to the next multiple of 64 bytes.
inline void transpose32(const void* in, std::size_t pitch, std::int64_t n, std::uint32_t flip, void* out) noexcept {
  const auto* src = static_cast<const unsigned char*>(in);
  auto* dst = static_cast<unsigned char*>(out);
#if defined(__AVX512F__)
  const __m512i x = _mm512_set1_epi32(static_cast<int>(flip));
  for (std::int64_t k = 0; k < n; k += 16) {
    const int count = n - k < 16 ? static_cast<int>(n - k) : 16;
    for (int half = 0; half < 2; ++half) {
      __m512i v[16];
      for (int r = 0; r < 16; ++r)
        v[r] = _mm512_loadu_si512(src + static_cast<std::size_t>(half * 16 + r) * pitch + k * 4);
      transpose16(v);
      for (int i = 0; i < 16; ++i)
        if (i < count) _mm512_storeu_si512(dst + (k + i) * 128 + half * 64, _mm512_xor_si512(v[i], x));
    }
  }
#elif defined(__AVX2__)
  const __m256i x = _mm256_set1_epi32(static_cast<int>(flip));
  for (std::int64_t k = 0; k < n; k += 8) {
    const int count = n - k < 8 ? static_cast<int>(n - k) : 8;
    for (int part = 0; part < 4; ++part) {
      __m256i v[8];
      for (int r = 0; r < 8; ++r)
        v[r] = _mm256_loadu_si256(
            reinterpret_cast<const __m256i*>(src + static_cast<std::size_t>(part * 8 + r) * pitch + k * 4));
      transpose8(v);
      for (int i = 0; i < 8; ++i)
        if (i < count)
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + (k + i) * 128 + part * 32), _mm256_xor_si256(v[i], x));
    }
  }
#else
  for (int r = 0; r < 32; ++r)
    for (std::int64_t k = 0; k < n; ++k) {
      std::uint32_t item;
      std::memcpy(&item, src + static_cast<std::size_t>(r) * pitch + k * 4, 4);
      item ^= flip;
      std::memcpy(dst + k * 128 + r * 4, &item, 4);
    }
#endif
}

}  // namespace
}  // namespace mtmd::cpu
