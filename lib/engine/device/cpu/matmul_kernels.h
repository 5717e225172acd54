// What an instruction set provides for matrix products, and the layouts that it shares with the drivers (matmul.cpp,
// moe.cpp).
//
// Quantised weights: activations are rounded to int8 with one f32 scale per 32 values (d = max|x| / 127, q = rint(x /
// d)); products are exact in integers within a scale group, groups are summed in f32.
//   few tokens:   dot(), straight from the packed bytes
//   more tokens:  unpack() turns 32 weight rows into an int8 panel that stays in cache, tile() multiplies it with
//   groups of
//                 kIntTokens tokens
//   some tokens, with bf16 tiles: few(), from the packed bytes through first-level cache into the tiles
//   many tokens, on a machine with bf16 tiles: both sides rounded to bf16 (2^-8 of a value at most, less than that of
//                 int8), summed in f32
// Float weights (and any format without an integer form): the same two ways in f32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/tensor/dtype.h"

namespace mtmd::cpu {

constexpr int kTileRows = 32;  ///< weight rows of a panel
constexpr int kIntTokens = 6;  ///< tokens of a group in integer products
constexpr int kMaxFloatTokens = 12;
constexpr int kFloatDotTokens = 4;  ///< tokens that a row of float weights meets at a time
constexpr int kTileTokens = 32;     ///< tokens of a group in products of tiles
constexpr int kTileCols = 32;       ///< columns that a tile takes at a time

/// 32 values of kIntTokens tokens, as tile() reads them. Sums serve weights stored as unsigned + 128 and formats with a
/// minimum.
struct ActBlock {
  std::int8_t q[8][kIntTokens][4];  ///< [quad][token][value]
  float d[kIntTokens];
  std::int32_t offset32[kIntTokens];     ///< -128 * sum of q
  float sum32[kIntTokens];               ///< d * sum of q
  std::int32_t offset16[2][kIntTokens];  ///< the same per half
  float sum16[2][kIntTokens];
};

/// 256 values of one token for products of two rows at a time (int_quads_avx512.h). Lane order: groups 0 2 4 6 1 3 5 7.
struct alignas(64) ActQuads {
  std::int8_t q[8][8][4];  ///< [quad][lane][value]
  float d[8], sum32[8], sum16[2][8];
  std::int32_t offset32[8], offset16[2][8];  ///< -128 * sum of q
};

/// One token, rounded, in the order of its values (for dot()); completed with zeros to a multiple of 256. n = cols
/// / 32.
struct ActRow {
  std::int8_t* q;         ///< [cols]
  std::int32_t* offset4;  ///< [cols / 4]: -128 * sum of four q
  float* d;               ///< [n]
  float* sum32;           ///< [n]
  float* sum16;           ///< [2 n]
  // The same for kernels that take 128 values at a time (int_pairs_avx512.h).
  std::int8_t* q_pairs;  ///< [cols] by runs of 128: the first halves of four groups of 32, then their second halves
  std::int32_t* offset_pairs;  ///< [cols / 8]: -128 * sum of a quad of the first and its quad of the second halves
  float* d_sum;                ///< [2 n]: of each 256 values the eight d, then the eight sum32
  ActQuads* quads;             ///< [cols / 256]; null for fewer than MatmulKernels::quad_tokens tokens
};

/// 32 weight rows: w = scale * q + min.
struct IntPanel {
  std::int8_t* q;  ///< [cols / 4][32][4]; the AVX-512 kernels keep q + 128 here, as unsigned bytes
  float* scale;    ///< [cols / group][32]
  float* min;      ///< [cols / group][32], for formats that have one
};

struct IntFormat {
  int group = 0;  ///< values per scale: 16 or 32; 0: no integer kernel for this type
  bool has_min = false;
  /// Rows beyond `rows` (1..32) become zeros. cols: a multiple of the format's block and of 32.
  void (*unpack)(const std::byte* w, std::size_t row_bytes, int rows, std::int64_t cols,
                 const IntPanel& panel) = nullptr;
  /// y[token][row] = products of `tokens` (1..kIntTokens) tokens with a panel; acts: [cols / 32], y: [kIntTokens][32]
  void (*tile)(const IntPanel& panel, const ActBlock* acts, std::int64_t cols, int tokens, float* y) = nullptr;
  /// y[token * pitch + row] = product of `tokens` (1..dot_tokens) tokens with `rows` rows of packed weights
  void (*dot)(const std::byte* w, std::size_t row_bytes, std::int64_t rows, std::int64_t cols, const ActRow* x,
              int tokens, float* y, std::int64_t pitch) = nullptr;
  /// The same for 1..kTileTokens tokens with tiles (AMX): the rows are rounded to bf16. acts: TileKernels::pack.
  /// Null where there are none.
  void (*few)(const std::byte* w, std::size_t row_bytes, std::int64_t rows, std::int64_t cols,
              const std::uint16_t* acts, int tokens, float* y, std::int64_t pitch) = nullptr;
};

constexpr int kMaxDTypes = 64;

/// `cols` columns of a row of weights to bf16, 32 of them every kTileRows * kTileCols values and completed with zeros;
/// in one part or two (of F16 and F32) that add up to 8, 16 bits of each value and lie `part_values` apart. False where
/// they do not hold every float exactly; the last part is rounded then. Quantised types: always true.
using ToBf16 = bool (*)(const std::byte* row, std::int64_t cols, int parts, std::int64_t part_values,
                        std::uint16_t* to);

/// Rows on their way into a panel, piece by piece: work for the vector units while tiles multiply another panel.
struct PanelRows {
  static constexpr std::int64_t kPieceCols = 256;

  ToBf16 to_bf16 = nullptr;
  const std::byte* row = nullptr;  ///< the one that is taken
  std::size_t row_bytes = 0, piece_bytes = 0;
  std::int64_t cols = 0, col = 0;  ///< of a row, and those of them that are taken
  std::int64_t left = 0;           ///< pieces
  int parts = 1;
  std::int64_t part_values = 0;
  std::uint16_t* to = nullptr;
  bool exact = true;  ///< so far
  /// Rows that are asked for from memory meanwhile, or null.
  const std::byte* ahead = nullptr;
  std::size_t ahead_row_bytes = 0, ahead_piece_bytes = 0;

  void take() noexcept {
    const std::int64_t piece = col / kPieceCols, n = cols - col < kPieceCols ? cols - col : kPieceCols;
    exact &= to_bf16(row + piece * piece_bytes, n, parts, part_values, to + col * kTileRows);
    if (ahead)
      for (std::size_t at = 0; at < ahead_piece_bytes; at += 64)
        __builtin_prefetch(ahead + piece * ahead_piece_bytes + at, 0, 2);
    --left;
    col += kPieceCols;
    if (col < cols) return;
    col = 0;
    row += row_bytes, to += kTileCols;
    if (ahead) ahead += ahead_row_bytes;
  }
  void take_all() noexcept {
    while (left > 0) take();
  }
};

/// Products of 16 x 32 tiles of bf16 (AMX), weights on the left in the order of their values. Two tiles stand side by
/// side everywhere. acts: [cols / 32][2][16 pairs of columns][16 tokens][2], missing tokens and columns zero; panel:
/// [cols / 32][kTileRows][32 columns], missing rows are anything; sums: [kTileRows][tokens, rounded up to 32].
struct TileKernels {
  /// `tokens` (1..kTileTokens) rows to bf16, in one to three parts like those of ToBf16.
  void (*pack)(const float* const* x, int tokens, std::int64_t cols, int parts, std::int64_t part_values,
               std::uint16_t* acts);
  /// The same of up to kTileTokens tokens of sums, whose rows are the columns that are packed.
  void (*pack_sums)(const float* sums, std::int64_t pitch, std::int64_t rows, int parts, std::int64_t part_values,
                    std::uint16_t* acts);
  ToBf16 to_bf16[kMaxDTypes];  ///< by GGUF type id; null where other products are faster
  /// sums = (add: +=) products of `rows` rows of a panel with `tokens` tokens, whose groups lie `act_pitch` values
  /// apart. Takes some or all of `meanwhile`.
  void (*multiply)(const std::uint16_t* panel, int rows, std::int64_t cols, const std::uint16_t* acts,
                   std::int64_t act_pitch, std::int64_t tokens, bool add, float* sums, std::int64_t pitch,
                   PanelRows& meanwhile);
  /// y[token * y_pitch + row] = sums[row * pitch + token]; y has room for all kTileRows rows
  void (*finish)(const float* sums, std::int64_t pitch, std::int64_t tokens, float* y, std::int64_t y_pitch);
  bool many_parts;  ///< several products of parts are faster than one in f32
};

struct MatmulKernels {
  /// By GGUF type id.
  IntFormat formats[kMaxDTypes];
  int dot_tokens;   ///< up to so many tokens dot() is faster than panels
  int quad_tokens;  ///< from so many tokens on dot() reads ActRow::quads; 0: never

  /// Rounds `tokens` (1..kIntTokens) rows; missing tokens become zeros. Rows with a NaN or infinity get d = NaN there.
  void (*quantize_group)(const float* const* x, int tokens, std::int64_t cols, ActBlock* acts);
  void (*quantize_row)(const float* x, std::int64_t cols, const ActRow& act);

  TileKernels tiles;  ///< null where the instruction set has none

  int float_tokens;  ///< tokens of a group in f32 products, at most kMaxFloatTokens
  /// y[k][token] = x[token][k], missing tokens zero
  void (*pack_float)(const float* const* x, int tokens, std::int64_t cols, float* y);
  /// n values of F16 or BF16 to f32
  void (*from_f16)(const std::uint16_t* x, std::int64_t n, float* y);
  void (*from_bf16)(const std::uint16_t* x, std::int64_t n, float* y);
  /// panel[k][32] = w[row][k], rows `pitch` floats apart; rows beyond `rows` become zeros
  void (*float_panel)(const float* w, std::size_t pitch, int rows, std::int64_t cols, float* panel);
  /// y[token][row] += products; acts: [cols][float_tokens], y: [float_tokens][32]
  void (*float_tile)(const float* panel, const float* acts, std::int64_t cols, int tokens, float* y);
  /// y[token * pitch + row] = products of `tokens` (1..kFloatDotTokens) tokens, x: [tokens][cols], with rows of
  /// weights: [rows, cols]
  void (*dot_f32)(const float* w, std::int64_t rows, std::int64_t cols, const float* const* x, int tokens, float* y,
                  std::int64_t pitch);
  void (*dot_f16)(const std::uint16_t* w, std::int64_t rows, std::int64_t cols, const float* const* x, int tokens,
                  float* y, std::int64_t pitch);
  void (*dot_bf16)(const std::uint16_t* w, std::int64_t rows, std::int64_t cols, const float* const* x, int tokens,
                   float* y, std::int64_t pitch);
};

}  // namespace mtmd::cpu
