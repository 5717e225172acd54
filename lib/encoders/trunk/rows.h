// Small helpers on rows of activations.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/device/device.h"

namespace mtmd::encoders {

/// Constant f32 rows in device memory (position tables, class tokens, rounded kernels).
class Table {
 public:
  Table() = default;
  /// values.size() == rows * cols
  Table(Device& device, std::span<const float> values, std::int64_t rows, std::int64_t cols);
  explicit operator bool() const noexcept { return memory_ != nullptr; }
  Tensor tensor() const noexcept { return tensor_; }
  Weight weight() const noexcept;

 private:
  std::shared_ptr<std::byte[]> memory_;
  Tensor tensor_;
};

/// Contiguous activations as a matrix that rows can be fetched from.
Weight as_weight(Tensor x) noexcept;

/// y row i = x row ids[i]; x contiguous, y elsewhere.
void gather(Device& device, Tensor y, Tensor x, std::span<const std::int32_t> ids);

/// Patches of a grid in block order: for each s x s cell (row by row), its patches row by row. Values are raster
/// indices; cells that stick out of the grid (sides no multiple of s) name `outside` for their missing patches.
std::vector<std::int32_t> block_order(int columns, int rows, int s, std::int32_t outside = -1);

/// The s x s patches of each cell side by side: x [rows * columns, d] raster -> y [cells, s * s * d]; missing patches
/// are zeros.
Tensor merge_cells(Device& device, Workspace& ws, Tensor x, int columns, int rows, int s);

/// y [1, n] = a constant row.
void place_row(Device& device, Tensor y, std::span<const float> row);

/// Rows of a grid with a constant row between them (y.rows one less than with) or behind each: x [rows * columns, d] ->
/// y [rows * (columns + 1) (- 1), d].
void end_rows(Device& device, Tensor y, Tensor x, int columns, std::span<const float> end);

/// Throws Error(model) when a value is NaN or infinite.
void check_finite(Tensor x, std::string_view what);

}  // namespace mtmd::encoders
