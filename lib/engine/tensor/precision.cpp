#include "engine/tensor/precision.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace mtmd {

bool fits_bf16(std::uint16_t f16) noexcept {
  const auto mantissa = static_cast<std::uint16_t>(f16 & 0x3ff);
  const bool subnormal = (f16 & 0x7c00) == 0;
  if (!subnormal) return (mantissa & 7) == 0;
  return mantissa == 0 || std::bit_width(mantissa) - std::countr_zero(mantissa) <= 8;
}

bool seems_to_fit_bf16(const Weight& w) noexcept {
  if (w.type != DType::F16) return w.type == DType::BF16;
  constexpr std::int64_t kRows = 32, kValues = 16;
  const std::int64_t rows = w.rows * w.experts, n_rows = std::min(kRows, rows), n = std::min(kValues, w.cols);
  for (std::int64_t i = 0; i < n_rows; ++i) {
    const std::int64_t row = i * rows / n_rows, first = (w.cols - n) * i / n_rows;
    std::uint16_t values[kValues];
    std::memcpy(values, w.data + static_cast<std::size_t>(row) * w.row_bytes() + static_cast<std::size_t>(first) * 2,
                static_cast<std::size_t>(n) * 2);
    for (std::int64_t k = 0; k < n; ++k)
      if (!fits_bf16(values[k])) return false;
  }
  return true;
}

}  // namespace mtmd
