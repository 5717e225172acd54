// Operands of products in bf16: activations and float weights, in one to three parts of 8 bits each. Compiled for
// instruction sets with products of bf16.
#include "engine/device/cpu/bf16_block.h"
#include "engine/device/cpu/isa_functions.h"
#include "engine/device/cpu/transpose.h"

namespace mtmd::cpu::ISA {
namespace {

static_assert(kTileTokens == kBlockRows && kTileCols == kBlockDepth && kTileRows == 32);

inline Values load_f16(const std::uint16_t* p, __mmask32 valid) noexcept {
  const __m512i v = _mm512_maskz_loadu_epi16(valid, p);
  return {_mm512_cvtph_ps(_mm512_castsi512_si256(v)), _mm512_cvtph_ps(_mm512_extracti64x4_epi64(v, 1))};
}

/// Steps of 32 columns x 16 rows, row by row through take(row, column, valid, parts), into a panel.
template <class Take>
inline void fill_panel(int rows, std::int64_t cols, int parts, std::int64_t part_values, std::uint16_t* panel,
                       Take take) noexcept {
  for (std::int64_t k = 0; k < cols; k += kTileCols, panel += 2 * kHalfValues) {
    const __mmask32 valid = first_of_32(cols - k);
    for (int half = 0; half < 2; ++half) {
      __m512i lines[2][16];
      for (int r = 0; r < 16; ++r) {
        __m512i line[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        if (half * 16 + r < rows) take(half * 16 + r, k, valid, line);
        lines[0][r] = line[0], lines[1][r] = line[1];
      }
      for (int part = 0; part < parts; ++part) {
        transpose16(lines[part]);
        for (int i = 0; i < 16; ++i)
          _mm512_storeu_si512(panel + part * part_values + half * kHalfValues + i * 32, lines[part][i]);
      }
    }
  }
}

/// The upper halves of 32 floats, which is all of them where they fit; what is lost is gathered in `lost`.
inline __m512i cut(Values v, __m512i& lost) noexcept {
  const __m512i low = _mm512_castps_si512(v.low), high = _mm512_castps_si512(v.high);
  lost = _mm512_or_si512(lost, _mm512_or_si512(low, high));
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(_mm512_srli_epi32(low, 16))),
                            _mm512_cvtepi32_epi16(_mm512_srli_epi32(high, 16)), 1);
}

}  // namespace

void pack_bf16(const float* const* x, int tokens, std::int64_t cols, int parts, std::int64_t part_values,
               std::uint16_t* acts) {
  for (std::int64_t k = 0; k < cols; k += kTileCols, acts += 2 * kHalfValues) {
    const __mmask32 valid = first_of_32(cols - k);
    for (int t = 0; t < kTileTokens; ++t) {
      Values v = {_mm512_setzero_ps(), _mm512_setzero_ps()};
      if (t < tokens) v = load_f32(x[t] + k, valid);
      for (int part = 0; part < parts; ++part)
        _mm512_storeu_si512(acts + part * part_values + t * kTileCols, v.take_part());
    }
  }
}

void pack_few_bf16(const float* const* x, int tokens, std::int64_t cols, std::uint16_t* acts) {
  fill_panel(tokens, cols, 1, 0, acts, [&](int t, std::int64_t k, __mmask32 valid, __m512i* line) {
    line[0] = load_f32(x[t] + k, valid).take_part();
  });
}

bool bf16_panel(DType type, const std::byte* w, std::size_t row_bytes, int rows, std::int64_t cols, int parts,
                std::int64_t part_values, std::uint16_t* panel) {
  const auto row = [=](int r) { return w + static_cast<std::size_t>(r) * row_bytes; };
  const auto f32 = [=](int r, std::int64_t k, __mmask32 valid) {
    return load_f32(reinterpret_cast<const float*>(row(r)) + k, valid);
  };
  const auto f16 = [=](int r, std::int64_t k, __mmask32 valid) {
    return load_f16(reinterpret_cast<const std::uint16_t*>(row(r)) + k, valid);
  };
  if (type == DType::BF16) {
    fill_panel(rows, cols, 1, part_values, panel, [&](int r, std::int64_t k, __mmask32 valid, __m512i* line) {
      line[0] = _mm512_maskz_loadu_epi16(valid, reinterpret_cast<const std::uint16_t*>(row(r)) + k);
    });
    return true;
  }
  __m512i lost = _mm512_setzero_si512();
  if (type == DType::F16 && parts == 1) {
    fill_panel(rows, cols, 1, part_values, panel,
               [&](int r, std::int64_t k, __mmask32 valid, __m512i* line) { line[0] = cut(f16(r, k, valid), lost); });
    if (_mm512_test_epi32_mask(lost, _mm512_set1_epi32(0xffff)) == 0) return true;
    lost = _mm512_setzero_si512();  // once more, to the nearest
  }
  fill_panel(rows, cols, parts, part_values, panel, [&](int r, std::int64_t k, __mmask32 valid, __m512i* line) {
    Values v = type == DType::F16 ? f16(r, k, valid) : f32(r, k, valid);
    for (int part = 0; part < parts; ++part) line[part] = v.take_part();
    lost = _mm512_or_si512(lost, _mm512_or_si512(_mm512_castps_si512(v.low), _mm512_castps_si512(v.high)));
  });
  return _mm512_test_epi32_mask(lost, lost) == 0;
}

void multiply_bf16(const std::uint16_t* panel, const std::uint16_t* acts, std::int64_t pitch, std::int64_t cols,
                   std::int64_t tokens, bool add, float* y, std::int64_t y_pitch) {
  multiply_panel(panel, acts, pitch, cols, tokens, add, y, y_pitch);
}

}  // namespace mtmd::cpu::ISA
