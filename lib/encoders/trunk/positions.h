// Where patches are: learned tables resized to a grid, and two-dimensional rotary embeddings.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "encoders/trunk/rows.h"
#include "engine/device/rope_table.h"
#include "engine/gguf/weights.h"

namespace mtmd::encoders {

enum class TableResize {
  antialias,          ///< half-pixel centres, triangle filter, widened when shrinking
  align_corners,      ///< corners kept, two neighbours, no antialiasing
  bicubic,            ///< half-pixel centres, four neighbours (a = -0.75), no antialiasing
  bicubic_antialias,  ///< half-pixel centres, cubic filter (a = -0.5), widened when shrinking
  tenth_more,         ///< half-pixel centres, two neighbours, scale (n + 0.1) / side: what HunyuanOCR was trained with
};

/// v.position_embd.weight [side * side, n_embd] or [height, width, n_embd] for grids of any shape.
class PositionTable {
 public:
  PositionTable() = default;
  /// The side is the root of the table's rows unless the file has both. Throws Error(model) when they are no square.
  PositionTable(gguf::Weights& weights, std::int64_t n_embd, TableResize how,
                std::string_view name = "v.position_embd.weight");
  /// A part of a table that the caller has cut out: [height * width, n_embd]; it must outlive this object.
  PositionTable(Vector table, int height, int width, std::int64_t n_embd, TableResize how)
      : table_(table), n_embd_(n_embd), height_(height), width_(width), how_(how) {}
  /// Rows of a grid, in raster order: [rows * columns, n_embd].
  std::vector<float> resized(int columns, int rows) const { return resized(columns, rows, how_); }
  std::vector<float> resized(int columns, int rows, TableResize how) const;

 private:
  Vector table_;
  std::int64_t n_embd_ = 0;
  int height_ = 0, width_ = 0;
  TableResize how_ = TableResize::antialias;
};

/// Which axis turns the first half of a head, which the second; adjacent pairs (2i, 2i + 1). Pair i of a half has
/// frequency base^(-4 i / d), in the second half base^(-(4 i + 2 offset) / d).
struct Rope2d {
  bool rows_first = true;
  bool offset = false;
  float base = 10000.0f;
};
RopeTable rope_2d(std::int32_t head_dim, const Rope2d& how, std::span<const Position> positions);

/// Angles axis * base^(-2 i / n) for n / 2 pairs, per position.
enum class Axis { row, column };
RopeTable rope_axis(std::int32_t n, float base, Axis axis, std::span<const Position> positions);

/// Rotates values [first, first + 2 * table.pairs) of every head of x [tokens, heads * head_dim] among themselves.
void rotate_part(Device& device, Tensor x, std::int32_t head_dim, std::int32_t first, const RopeTable& table,
                 RopePairs pairs);

/// Positions of patches that are named by raster index, `n_pictures` times.
std::vector<Position> grid_positions(std::span<const std::int32_t> order, int columns, std::int64_t n_pictures);

}  // namespace mtmd::encoders
