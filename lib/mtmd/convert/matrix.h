// Private to this folder: tensors on their way from one layout to another, read a row at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "mtmd/convert/safetensors.h"

namespace mtmd::convert {

/// Values of a tensor by rows of its last dimension. Transformations wrap each other, so that nothing larger than a few
/// rows is ever held. A matrix refers to the tensors it is made of.
struct Matrix {
  std::vector<std::int64_t> shape;  ///< outermost first; a vector is one row
  std::function<void(std::int64_t row, float* out)> row;

  std::int64_t cols() const { return shape.empty() ? 1 : shape.back(); }
  std::int64_t n_rows() const;
};

Matrix stored(const StoredTensor& tensor);
Matrix constant(std::vector<float> values);
/// Norms that are stored as their distance from one.
Matrix plus_one(Matrix m);
/// Rows [begin, begin + n) of a 2-D matrix or entries of a vector.
Matrix rows_of(Matrix m, std::int64_t begin, std::int64_t n);
/// The halves of each head as neighbouring pairs: the order in which GGUF's Llama rotates (RoPE's own).
Matrix paired_heads(Matrix m, std::int64_t n_heads);
/// Kernel `t` of a 3-D convolution [out, in, time, y, x]: [out, in, y, x].
Matrix time_slice(Matrix m, std::int64_t t);
Matrix reshaped(Matrix m, std::vector<std::int64_t> shape);  ///< the last dimension stays

}  // namespace mtmd::convert
