#include "encoders/trunk/rows.h"

#include <cassert>
#include <cmath>
#include <cstring>

#include "engine/base/checked.h"
#include "engine/base/error.h"

namespace mtmd::encoders {

Table::Table(Device& device, std::span<const float> values, std::int64_t rows, std::int64_t cols)
    : memory_(device.allocate(values.size_bytes())), tensor_(reinterpret_cast<float*>(memory_.get()), rows, cols) {
  assert(static_cast<std::int64_t>(values.size()) == rows * cols);
  std::memcpy(memory_.get(), values.data(), values.size_bytes());
}

Weight Table::weight() const noexcept { return as_weight(tensor_); }

Weight as_weight(Tensor x) noexcept {
  assert(x.contiguous());
  return {DType::F32, reinterpret_cast<const std::byte*>(x.data), x.rows, x.cols};
}

void gather(Device& device, Tensor y, Tensor x, std::span<const std::int32_t> ids) {
  device.get_rows(y, as_weight(x), ids);
}

std::vector<std::int32_t> block_order(int columns, int rows, int s, std::int32_t outside) {
  std::vector<std::int32_t> order;
  order.reserve(static_cast<std::size_t>(round_up(columns, s)) * static_cast<std::size_t>(round_up(rows, s)));
  for (int cell_y = 0; cell_y < rows; cell_y += s) {
    for (int cell_x = 0; cell_x < columns; cell_x += s) {
      for (int i = 0; i < s * s; ++i) {
        const int y = cell_y + i / s, x = cell_x + i % s;
        order.push_back(y < rows && x < columns ? y * columns + x : outside);
      }
    }
  }
  return order;
}

Tensor merge_cells(Device& device, Workspace& ws, Tensor x, int columns, int rows, int s) {
  const bool whole = columns % s == 0 && rows % s == 0;
  const auto order = block_order(columns, rows, s, columns * rows);
  const auto n = static_cast<std::int64_t>(order.size());
  Tensor y = ws.tensor(n, x.cols);
  if (whole) {
    gather(device, y, x, order);
  } else {
    Workspace::Scope scope(ws);
    const std::vector<float> zeros(x.cols);
    const Tensor padded = ws.tensor(x.rows + 1, x.cols);
    device.copy(padded.rows_at(0, x.rows), x);
    const std::int32_t first = 0;
    device.get_rows(padded.rows_at(x.rows, 1),
                    Weight{DType::F32, reinterpret_cast<const std::byte*>(zeros.data()), 1, x.cols}, {&first, 1});
    gather(device, y, padded, order);
  }
  return y.reshaped(n / (s * s), x.cols * s * s);
}

void place_row(Device& device, Tensor y, std::span<const float> row) {
  const std::int32_t first = 0;
  device.get_rows(y, {DType::F32, reinterpret_cast<const std::byte*>(row.data()), 1, y.cols}, {&first, 1});
}

void end_rows(Device& device, Tensor y, Tensor x, int columns, std::span<const float> end) {
  std::int64_t at = 0;
  for (std::int64_t begin = 0; begin + columns <= x.rows; begin += columns) {
    device.copy(y.rows_at(at, columns), x.rows_at(begin, columns));
    at += columns;
    if (at < y.rows) place_row(device, y.rows_at(at++, 1), end);
  }
}

void check_finite(Tensor x, std::string_view what) {
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (float v : x.row_span(i)) {
      if (!std::isfinite(v)) {
        fail(ErrorCategory::model,
             "{}: embedding {} holds {}; the encoder's weights are damaged or overflow (try `mtmd verify`)", what, i,
             v);
      }
    }
  }
}

}  // namespace mtmd::encoders
