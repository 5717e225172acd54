// Products of bf16 tiles (AMX): what the instruction set `amx` adds to the table of avx512.
#include "engine/device/cpu/bf16_block.h"
#include "engine/device/cpu/isa_functions.h"
#include "engine/device/cpu/matmul_kernels.h"

namespace mtmd::cpu::ISA {
namespace {

constexpr std::int64_t kTile = 16 * kTileCols;  // values of a tile

/// Where the 16 values of a pair of columns and eight rows stand among 16 rows of four columns.
struct Pick {
  alignas(64) std::uint8_t at[2][2][64];  ///< [pair][half of the rows][one byte in four counts]
};
constexpr Pick pick() {
  Pick p{};
  for (int pair = 0; pair < 2; ++pair)
    for (int half = 0; half < 2; ++half)
      for (int i = 0; i < 16; ++i)
        p.at[pair][half][i * 4] = static_cast<std::uint8_t>((half * 8 + i / 2) * 4 + pair * 2 + i % 2);
  return p;
}
constexpr Pick kPick = pick();

template <int kGroup, bool kMin>
void widen_groups(const IntPanel& from, std::int64_t cols, std::uint16_t* panel) noexcept {
  // A byte in the low end of 2^23 is that number plus the byte; panels hold q + 128.
  const __m512i whole = _mm512_set1_epi32(0x4b000000);
  const __m512 zero = _mm512_set1_ps(0x1p23f + 128);
  const __m512i twice[2] = {_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7),
                            _mm512_setr_epi32(8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15)};
  __m512i at[2][2];
  for (int i = 0; i < 4; ++i) at[i / 2][i % 2] = _mm512_load_si512(kPick.at[i / 2][i % 2]);
  for (std::int64_t g = 0; g < cols / kGroup; ++g) {
    for (int tile = 0; tile < 2; ++tile) {
      const __m512 s = _mm512_loadu_ps(from.scale + g * kTileRows + tile * 16);
      const __m512 scale[2] = {_mm512_permutexvar_ps(twice[0], s), _mm512_permutexvar_ps(twice[1], s)};
      __m512 min[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
      if constexpr (kMin) {
        const __m512 m = _mm512_loadu_ps(from.min + g * kTileRows + tile * 16);
        min[0] = _mm512_permutexvar_ps(twice[0], m), min[1] = _mm512_permutexvar_ps(twice[1], m);
      }
      const std::int64_t k0 = g * kGroup;
      const std::int8_t* q = from.q + k0 * kTileRows + tile * 64;
      std::uint16_t* to = panel + k0 / kTileCols * 2 * kTile + tile * kTile + k0 % kTileCols * 16;
#pragma GCC unroll 8
      for (int quad = 0; quad < kGroup / 4; ++quad) {
        const __m512i bytes = _mm512_loadu_si512(q + quad * 128);
#pragma GCC unroll 2
        for (int pair = 0; pair < 2; ++pair) {
          __m512 w[2];
#pragma GCC unroll 2
          for (int half = 0; half < 2; ++half) {
            const __m512i v = _mm512_mask_permutexvar_epi8(whole, 0x1111111111111111, at[pair][half], bytes);
            const __m512 value = _mm512_sub_ps(_mm512_castsi512_ps(v), zero);
            w[half] = kMin ? _mm512_fmadd_ps(value, scale[half], min[half]) : _mm512_mul_ps(value, scale[half]);
          }
          _mm512_storeu_si512(to + (quad * 2 + pair) * 32, to_bf16(w[0], w[1]));
        }
      }
    }
  }
}

void widen(const IntPanel& from, int group, bool has_min, std::int64_t cols, std::uint16_t* panel) {
  if (group == 32)
    has_min ? widen_groups<32, true>(from, cols, panel) : widen_groups<32, false>(from, cols, panel);
  else
    has_min ? widen_groups<16, true>(from, cols, panel) : widen_groups<16, false>(from, cols, panel);
}

void multiply(const std::uint16_t* panel, const std::uint16_t* acts, std::int64_t pitch, std::int64_t cols,
              std::int64_t tokens, bool add, float* y, std::int64_t y_pitch) {
  multiply_panel(panel, acts, pitch, cols, tokens, add, y, y_pitch);
}

}  // namespace

void fill_tile_kernels(MatmulKernels& table) {
  fill_tile_rows(table.formats);
  table.tiles.widen = widen;
  table.tiles.multiply = multiply;
  table.tiles.many_parts = true;
}

}  // namespace mtmd::cpu::ISA
