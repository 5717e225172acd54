// Views of the two kinds of matrices an engine has: f32 activations and weights of any dtype. Nothing here owns memory.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/tensor/dtype.h"

namespace mtmd {

/// Activations [rows, cols], f32, row-major, rows `stride` floats apart (a view of some columns keeps the stride of the
/// whole). Usually rows are tokens and columns features. `data` belongs to the device that made it.
struct Tensor {
  float* data = nullptr;
  std::int64_t rows = 0, cols = 0, stride = 0;

  Tensor() = default;
  Tensor(float* d, std::int64_t r, std::int64_t c) : Tensor(d, r, c, c) {}
  Tensor(float* d, std::int64_t r, std::int64_t c, std::int64_t s) : data(d), rows(r), cols(c), stride(s) {}

  bool contiguous() const noexcept { return stride == cols || rows <= 1; }
  std::int64_t size() const noexcept { return rows * cols; }
  float* row(std::int64_t i) const noexcept { return data + i * stride; }
  std::span<float> row_span(std::int64_t i) const noexcept { return {row(i), static_cast<std::size_t>(cols)}; }
  /// Rows [begin, begin + n).
  Tensor rows_at(std::int64_t begin, std::int64_t n) const noexcept {
    assert(begin >= 0 && n >= 0 && begin + n <= rows);
    return {data + begin * stride, n, cols, stride};
  }
  /// Columns [begin, begin + n) of every row.
  Tensor cols_at(std::int64_t begin, std::int64_t n) const noexcept {
    assert(begin >= 0 && n >= 0 && begin + n <= cols);
    return {data + begin, rows, n, stride};
  }
  /// The same contiguous values under another shape, e.g. [tokens, heads * d] as [tokens * heads, d].
  Tensor reshaped(std::int64_t r, std::int64_t c) const noexcept {
    assert(contiguous() && r * c == rows * cols);
    return {data, r, c};
  }
};

/// What a product may leave of its operands; sums are always f32. A device may keep more.
enum class Precision : std::uint8_t {
  f32,         ///< as f32 arithmetic has it
  f16,         ///< at least the 11 bits of f16
  bf16_exact,  ///< all bits of the weights; of the activations 8 where the weights have no more, else 11
  bf16,        ///< 8 bits of both
};

/// A weight matrix [out, in] (`experts` of them behind each other for MoE), in the bytes GGUF stores.
/// `w * x` applies it to each row of x: [n, in].
struct Weight {
  DType type = DType::F32;
  const std::byte* data = nullptr;
  std::int64_t rows = 0, cols = 0, experts = 1;
  Precision precision = Precision::f32;  ///< of products with it; quantised types round activations as they do anyway

  explicit operator bool() const noexcept { return data != nullptr; }
  std::size_t row_bytes() const noexcept { return mtmd::row_bytes(type, cols); }
  std::size_t bytes() const noexcept { return row_bytes() * static_cast<std::size_t>(rows * experts); }
  const std::byte* row(std::int64_t i) const noexcept { return data + static_cast<std::size_t>(i) * row_bytes(); }
  Weight expert(std::int64_t e) const noexcept {
    return {type, data + static_cast<std::size_t>(e * rows) * row_bytes(), rows, cols, 1, precision};
  }
  /// Rows [begin, begin + n), e.g. the q part of a fused qkv.
  Weight rows_at(std::int64_t begin, std::int64_t n) const noexcept {
    assert(experts == 1 && begin >= 0 && begin + n <= rows);
    return {type, row(begin), n, cols, 1, precision};
  }
};

/// A small f32 vector of parameters (norm weights, biases); empty when the file has none.
using Vector = std::span<const float>;

}  // namespace mtmd
