#include "mtmd/convert/matrix.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "engine/base/error.h"
#include "engine/quant/quant.h"

namespace mtmd::convert {
namespace {

std::int64_t product(const std::vector<std::int64_t>& shape) {
  std::int64_t n = 1;
  for (const std::int64_t d : shape) n *= d;
  return n;
}

void decode(const StoredTensor& t, std::int64_t begin, std::int64_t n, float* out) {
  if (const quant::Format* format = quant::find(t.type)) {
    format->decode(t.data.data() + row_bytes(t.type, begin), out, n);
    return;
  }
  fail(ErrorCategory::internal, "{}: no decoder of {}", t.name, name(t.type));
}

}  // namespace

std::int64_t Matrix::n_rows() const { return cols() == 0 ? 0 : product(shape) / cols(); }

Matrix stored(const StoredTensor& tensor) {
  const std::int64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
  return {tensor.shape, [&tensor, cols](std::int64_t row, float* out) { decode(tensor, row * cols, cols, out); }};
}

Matrix constant(std::vector<float> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  const auto shared = std::make_shared<std::vector<float>>(std::move(values));
  return {{n}, [shared](std::int64_t, float* out) { std::copy(shared->begin(), shared->end(), out); }};
}

Matrix plus_one(Matrix m) {
  const std::int64_t cols = m.cols();
  return {m.shape, [inner = m.row, cols](std::int64_t row, float* out) {
            inner(row, out);
            for (std::int64_t i = 0; i < cols; ++i) out[i] += 1.0f;
          }};
}

Matrix rows_of(Matrix m, std::int64_t begin, std::int64_t n) {
  if (m.shape.size() == 1) {
    const auto whole = std::make_shared<std::vector<float>>(static_cast<std::size_t>(m.cols()));
    return {{n}, [inner = m.row, whole, begin, n](std::int64_t, float* out) {
              inner(0, whole->data());
              std::copy_n(whole->data() + begin, n, out);
            }};
  }
  return {{n, m.cols()}, [inner = m.row, begin](std::int64_t row, float* out) { inner(begin + row, out); }};
}

Matrix paired_heads(Matrix m, std::int64_t n_heads) {
  const std::int64_t n = m.shape.front(), head = n / n_heads;
  const auto source = [head](std::int64_t i) { return i / head * head + i % 2 * (head / 2) + i % head / 2; };
  if (m.shape.size() > 1)
    return {m.shape, [inner = m.row, source](std::int64_t row, float* out) { inner(source(row), out); }};
  const auto whole = std::make_shared<std::vector<float>>(static_cast<std::size_t>(n));
  return {m.shape, [inner = m.row, whole, source, n](std::int64_t, float* out) {
            inner(0, whole->data());
            for (std::int64_t i = 0; i < n; ++i) out[i] = (*whole)[static_cast<std::size_t>(source(i))];
          }};
}

Matrix time_slice(Matrix m, std::int64_t t) {
  const auto& s = m.shape;
  const std::int64_t times = s[2], height = s[3];
  return {{s[0], s[1], s[3], s[4]}, [inner = m.row, times, height, t](std::int64_t row, float* out) {
            inner((row / height * times + t) * height + row % height, out);
          }};
}

Matrix reshaped(Matrix m, std::vector<std::int64_t> shape) {
  if (product(shape) != product(m.shape) || shape.empty() || shape.back() != m.cols())
    fail(ErrorCategory::internal, "a matrix cannot take another shape");
  return {std::move(shape), std::move(m.row)};
}

}  // namespace mtmd::convert
