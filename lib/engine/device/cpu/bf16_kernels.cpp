// Operands of products in bf16: activations and float weights, in one to three parts of 8 bits each. Compiled for
// instruction sets with products of bf16.
#include "engine/device/cpu/bf16_panel.h"
#include "engine/device/cpu/isa_functions.h"

namespace mtmd::cpu::ISA {
namespace {

inline Values load_f16(const std::uint16_t* p, __mmask32 valid) noexcept {
  const __m512i v = _mm512_maskz_loadu_epi16(valid, p);
  return {_mm512_cvtph_ps(_mm512_castsi512_si256(v)), _mm512_cvtph_ps(_mm512_extracti64x4_epi64(v, 1))};
}

/// The upper halves of 32 floats, which is all of them where they fit; what is lost is gathered in `lost`.
inline __m512i cut(Values v, __m512i& lost) noexcept {
  const __m512i low = _mm512_castps_si512(v.low), high = _mm512_castps_si512(v.high);
  lost = _mm512_or_si512(lost, _mm512_or_si512(low, high));
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(_mm512_srli_epi32(low, 16))),
                            _mm512_cvtepi32_epi16(_mm512_srli_epi32(high, 16)), 1);
}

/// Columns [0, cols) to a row of a panel, 32 of them through take(column, which are there, parts).
template <class Take>
inline void fill_row(std::int64_t cols, int parts, std::int64_t part_values, std::uint16_t* to, Take take) noexcept {
  for (std::int64_t k = 0; k < cols; k += kTileCols, to += kTileRows * kTileCols) {
    __m512i line[2];
    take(k, first_of_32(cols - k), line);
    for (int part = 0; part < parts; ++part) _mm512_storeu_si512(to + part * part_values, line[part]);
  }
}

/// load(column, which are there) -> Values, rounded to the last part.
template <class Load>
inline bool round_row(std::int64_t cols, int parts, std::int64_t part_values, std::uint16_t* to, Load load) noexcept {
  __m512i lost = _mm512_setzero_si512();
  fill_row(cols, parts, part_values, to, [&](std::int64_t k, __mmask32 valid, __m512i* line) {
    Values v = load(k, valid);
    for (int part = 0; part < parts; ++part) line[part] = v.take_part();
    lost = _mm512_or_si512(lost, _mm512_or_si512(_mm512_castps_si512(v.low), _mm512_castps_si512(v.high)));
  });
  return _mm512_test_epi32_mask(lost, lost) == 0;
}

bool row_of_f32(const std::byte* row, std::int64_t cols, int parts, std::int64_t part_values, std::uint16_t* to) {
  return round_row(cols, parts, part_values, to, [row](std::int64_t k, __mmask32 valid) {
    return load_f32(reinterpret_cast<const float*>(row) + k, valid);
  });
}

bool row_of_f16(const std::byte* row, std::int64_t cols, int parts, std::int64_t part_values, std::uint16_t* to) {
  const auto load = [row](std::int64_t k, __mmask32 valid) {
    return load_f16(reinterpret_cast<const std::uint16_t*>(row) + k, valid);
  };
  if (parts == 1) {
    __m512i lost = _mm512_setzero_si512();
    fill_row(cols, 1, 0, to,
             [&](std::int64_t k, __mmask32 valid, __m512i* line) { line[0] = cut(load(k, valid), lost); });
    if (_mm512_test_epi32_mask(lost, _mm512_set1_epi32(0xffff)) == 0) return true;  // else once more, to the nearest
  }
  return round_row(cols, parts, part_values, to, load);
}

bool row_of_bf16(const std::byte* row, std::int64_t cols, int, std::int64_t, std::uint16_t* to) {
  fill_row(cols, 1, 0, to, [row](std::int64_t k, __mmask32 valid, __m512i* line) {
    line[0] = _mm512_maskz_loadu_epi16(valid, reinterpret_cast<const std::uint16_t*>(row) + k);
  });
  return true;
}

void pack(const float* const* x, int tokens, std::int64_t cols, int parts, std::int64_t part_values,
          std::uint16_t* acts) {
  for (std::int64_t k = 0; k < cols; k += kTileCols)
    for (int first = 0; first < kTileTokens; first += 16, acts += kHalfValues)
      pack_half(parts, part_values, acts, [&](int t) {
        if (first + t < tokens) return load_f32(x[first + t] + k, first_of_32(cols - k));
        return Values{_mm512_setzero_ps(), _mm512_setzero_ps()};
      });
}

void pack_sums(const float* sums, std::int64_t pitch, std::int64_t rows, int parts, std::int64_t part_values,
               std::uint16_t* acts) {
  // Two rows are the pairs of a token: their halves take turns.
  alignas(64) std::uint16_t turns[32];
  for (int i = 0; i < 32; ++i) turns[i] = static_cast<std::uint16_t>(i / 2 + i % 2 * 16);
  const __m512i order = _mm512_load_si512(turns);
  for (std::int64_t k = 0; k < rows; k += kTileCols)
    for (int first = 0; first < kTileTokens; first += 16)
      for (std::int64_t r = k; r < k + kTileCols; r += 2, acts += 32) {
        const float* p = sums + r * pitch + first;
        Values v = {r < rows ? _mm512_loadu_ps(p) : _mm512_setzero_ps(),
                    r + 1 < rows ? _mm512_loadu_ps(p + pitch) : _mm512_setzero_ps()};
        for (int part = 0; part < parts; ++part)
          _mm512_storeu_si512(acts + part * part_values, _mm512_permutexvar_epi16(order, v.take_part()));
      }
}

void finish(const float* sums, std::int64_t pitch, std::int64_t tokens, float* y, std::int64_t y_pitch) {
  for (std::int64_t t = 0; t < tokens; t += 16)
    for (std::int64_t r = 0; r < kTileRows; r += 16)
      transpose16(sums + r * pitch + t, pitch, std::min<std::int64_t>(16, tokens - t), 0xffff, y + t * y_pitch + r,
                  y_pitch);
}

}  // namespace

void fill_bf16_kernels(TileKernels& tiles) {
  tiles.pack = pack;
  tiles.pack_sums = pack_sums;
  tiles.to_bf16[static_cast<int>(DType::F32)] = row_of_f32;
  tiles.to_bf16[static_cast<int>(DType::F16)] = row_of_f16;
  tiles.to_bf16[static_cast<int>(DType::BF16)] = row_of_bf16;
  tiles.multiply = multiply_panel;
  tiles.finish = finish;
}

}  // namespace mtmd::cpu::ISA
