// Products of few tokens in bf16 tiles (AMX), straight from the packed bytes: while the tiles multiply one piece of 32
// rows, the vectors unpack the next.
#include "engine/device/cpu/matmul_kernels.h"
#include "engine/device/cpu/tile_rows.h"
#include "engine/device/cpu/transpose.h"

namespace mtmd::cpu::ISA {
namespace {

constexpr int kSteps = kStepValues / kTileCols;  ///< tiles of a piece, side by side
constexpr std::int64_t kPieceValues = kTileRows * kStepValues;

/// [2 halves of the rows][kSteps][16 rows][32 columns]
using Piece = std::uint16_t[kPieceValues];

/// kWide: more than 16 tokens.
template <bool kWide>
inline void begin_sums() noexcept {
  _tile_zero(0);
  _tile_zero(2);
  if (kWide) _tile_zero(1);
  if (kWide) _tile_zero(3);
}

/// Product number i of the 2 kSteps of a piece. acts: of its columns.
template <bool kWide>
inline void multiply_tile(const std::uint16_t* piece, const std::uint16_t* acts, int i) noexcept {
  const int step = i / 2;
  if (i % 2 == 0) {
    _tile_loadd(6, acts + step * 2 * kHalfValues, 64);
    if (kWide) _tile_loadd(7, acts + (step * 2 + 1) * kHalfValues, 64);
    _tile_loadd(4, piece + step * kHalfValues, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (kWide) _tile_dpbf16ps(1, 4, 7);
  } else {
    _tile_loadd(5, piece + (kSteps + step) * kHalfValues, 64);
    _tile_dpbf16ps(2, 5, 6);
    if (kWide) _tile_dpbf16ps(3, 5, 7);
  }
}

/// sums [rows][16 tokens] of tile number kSum -> y[token * pitch + row]
template <int kSum>
inline void store_sums(int tokens, int rows, float* y, std::int64_t pitch) noexcept {
  alignas(64) float sums[16][16];
  if constexpr (kSum == 0) _tile_stored(0, sums, 64);
  if constexpr (kSum == 1) _tile_stored(1, sums, 64);
  if constexpr (kSum == 2) _tile_stored(2, sums, 64);
  if constexpr (kSum == 3) _tile_stored(3, sums, 64);
  asm volatile("" ::: "memory");
  transpose16(sums[0], 16, tokens, static_cast<__mmask16>(rows < 16 ? (1u << rows) - 1 : 0xffffu), y, pitch);
}

template <bool kWide>
inline void store_all(int tokens, int rows, float* y, std::int64_t pitch) noexcept {
  const int first = tokens < 16 ? tokens : 16;
  store_sums<0>(first, rows, y, pitch);
  if (kWide) store_sums<1>(tokens - 16, rows, y + 16 * pitch, pitch);
  if (rows <= 16) return;
  store_sums<2>(first, rows - 16, y + 16, pitch);
  if (kWide) store_sums<3>(tokens - 16, rows - 16, y + 16 * pitch + 16, pitch);
}

/// `values` of a row from b on (256 where there are more), completed with zeros: 32 of them every `step` values.
template <class F>
inline void step_to_bf16(const Byte* b, std::int64_t values, std::uint16_t* to, std::int64_t step) noexcept {
  alignas(64) Byte tail[kStepBytes<F>];
  if (values < kStepValues) {
    copy_tail<F>(b, values, tail);
    b = tail;
  }
  row_to_bf16<F>(b, to, step);
}

template <class F, bool kWide>
void rows_of(const std::byte* w, std::size_t row_bytes, std::int64_t rows, std::int64_t cols, const std::uint16_t* acts,
             int tokens, float* y, std::int64_t pitch) noexcept {
  alignas(64) Piece pieces[2];
  const std::int64_t steps = (cols + kStepValues - 1) / kStepValues, tiles = (cols + kTileCols - 1) / kTileCols;
  begin_blocks();
  for (std::int64_t r0 = 0; r0 < rows; r0 += kTileRows) {
    const int n = static_cast<int>(rows - r0 < kTileRows ? rows - r0 : kTileRows);
    if (n < kTileRows) __builtin_memset(pieces, 0, sizeof pieces);
    const Byte* begin = reinterpret_cast<const Byte*>(w) + static_cast<std::size_t>(r0) * row_bytes;
    const auto unpack = [&](std::int64_t step, int r) {
      if (step >= steps || r >= n) return;
      const Byte* b = begin + static_cast<std::size_t>(r) * row_bytes + static_cast<std::size_t>(step) * kStepBytes<F>;
      for (int at = 0; at < kStepBytes<F>; at += 64)  // the same place of the next rows
        _mm_prefetch(reinterpret_cast<const char*>(b + kTileRows * row_bytes) + at, _MM_HINT_T1);
      step_to_bf16<F>(b, cols - step * kStepValues,
                      pieces[step % 2] + r / 16 * kSteps * kHalfValues + r % 16 * kTileCols, kHalfValues);
    };
    begin_sums<kWide>();
    for (int r = 0; r < kTileRows; ++r) unpack(0, r);
    for (std::int64_t step = 0; step < steps; ++step) {
      const std::int64_t left = tiles - step * kSteps;
      const int products = left < kSteps ? static_cast<int>(2 * left) : 2 * kSteps;
      for (int i = 0; i < 2 * kSteps; ++i) {
        asm volatile("" ::: "memory");  // tiles read what vectors wrote
        if (i < products) multiply_tile<kWide>(pieces[step % 2], acts + step * kSteps * 2 * kHalfValues, i);
        unpack(step + 1, 2 * i);
        unpack(step + 1, 2 * i + 1);
      }
    }
    store_all<kWide>(tokens, n, y + r0, pitch);
  }
  end_blocks();
}

template <class F>
void few(const std::byte* w, std::size_t row_bytes, std::int64_t rows, std::int64_t cols, const std::uint16_t* acts,
         int tokens, float* y, std::int64_t pitch) {
  (tokens > 16 ? rows_of<F, true> : rows_of<F, false>)(w, row_bytes, rows, cols, acts, tokens, y, pitch);
}

template <class F>
bool to_bf16(const std::byte* row, std::int64_t cols, int, std::int64_t, std::uint16_t* to) {
  const Byte* b = reinterpret_cast<const Byte*>(row);
  for (std::int64_t k = 0; k < cols; k += kStepValues, b += kStepBytes<F>, to += kStepValues * kTileRows)
    step_to_bf16<F>(b, cols - k, to, kTileRows * kTileCols);
  return true;
}

template <class F>
void fill(MatmulKernels& table) {
  table.formats[static_cast<int>(F::type)].few = few<F>;
  table.tiles.to_bf16[static_cast<int>(F::type)] = to_bf16<F>;
}

}  // namespace

void fill_tile_rows(MatmulKernels& table) {
#define MTMD_FILL(F) fill<F>(table);
  MTMD_INT_FORMATS(MTMD_FILL)
#undef MTMD_FILL
}

}  // namespace mtmd::cpu::ISA
