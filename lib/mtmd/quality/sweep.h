// What each type would cost each tensor: bytes, and error of its output.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/thread_pool.h"
#include "engine/gguf/gguf.h"
#include "engine/quant/quant.h"

namespace mtmd::quality {

/// A tensor whose type is open.
struct OpenTensor {
  const gguf::TensorInfo* tensor = nullptr;
  std::span<const float> importance = {};  ///< [matrices, columns] mean squares of its inputs, or empty: all alike

  std::int64_t columns() const noexcept { return tensor->shape.back(); }
  std::int64_t rows() const noexcept { return tensor->n_values() / columns(); }
  /// Weights of one row's columns; null without importance.
  const float* importance_of(std::int64_t row) const noexcept;
};

struct Candidate {
  DType type{};
  std::uint64_t bytes = 0;
  /// Squared error of the output over the output's own square, both estimated with uncorrelated inputs:
  /// sum importance (w - q)^2 / sum importance w^2.
  double error = 0;
};

/// The types that are tried where they fit: K and IQ types of 2 to 6 bits, the 32-blocks, Q8_0, F16.
std::span<const DType> default_candidates() noexcept;
/// Rows are whole blocks of it, and there is importance where it cannot do without.
bool fits(DType type, const OpenTensor& t) noexcept;

/// Error of each type that fits, measured on at most `sample` values (whole rows spread evenly over the tensor, 16 at
/// least). Sorted by size; types that are larger and no better than another are left out. Throws Error(model) for
/// values that are not finite, naming tensor and row.
std::vector<Candidate> sweep(const OpenTensor& t, std::span<const DType> types, std::int64_t sample, ThreadPool& pool);

/// All rows in another type.
std::vector<std::byte> encode(const OpenTensor& t, DType type, ThreadPool& pool);

}  // namespace mtmd::quality
