// What the device tests share: tensors with memory of their own, random values, every device this machine can run.
#pragma once

#include <gtest/gtest.h>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/device/cpu/dispatch.h"
#include "engine/device/device.h"

namespace mtmd::test {

/// Largest relative error of one rounding.
constexpr double kRounding = 0x1p-24;

/// A matrix and its memory. `gap`: columns between rows that no op may touch.
struct Matrix {
  std::vector<float> values;
  Tensor view;

  Matrix(std::int64_t rows, std::int64_t cols, std::int64_t gap = 0)
      : values(static_cast<std::size_t>(rows * (cols + gap) + 1), kUntouched),
        view(values.data(), rows, cols, cols + gap) {}
  Matrix(const Matrix& other)
      : values(other.values), view(values.data(), other.view.rows, other.view.cols, other.view.stride) {}
  Matrix& operator=(const Matrix&) = delete;

  static Matrix random(std::int64_t rows, std::int64_t cols, unsigned seed, float deviation = 1.0f,
                       std::int64_t gap = 0) {
    Matrix m(rows, cols, gap);
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0.0f, deviation);
    for (std::int64_t r = 0; r < rows; ++r)
      for (float& v : m.view.row_span(r)) v = normal(generator);
    return m;
  }

  static constexpr float kUntouched = -1234.5f;
};

inline std::vector<float> random_vector(std::int64_t n, unsigned seed) {
  const Matrix m = Matrix::random(1, n, seed);
  return {m.view.data, m.view.data + n};
}

inline std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const cpu::Kernels& k : cpu::runnable_kernels()) names.emplace_back(k.name);
  return names;
}

/// Runs `op(device, y)` on the reference device, and on the CPU in every instruction set with 1, 2 and 3 threads; y
/// starts as a copy of `start`. Every result lies within tolerance(row, column, reference value) of the reference, all
/// threads give the same bits, and memory between the rows stays as it was.
template <class Op, class Tolerance>
void expect_like_reference(const Matrix& start, Op op, Tolerance tolerance, const std::string& what) {
  Matrix want = start;
  const auto reference = make_device("reference");
  op(*reference, want.view);
  for (const std::string& isa : isas()) {
    std::vector<float> first;
    for (int threads = 1; threads <= 3; ++threads) {
      const auto device = make_device("cpu", {.threads = threads, .isa = isa});
      Matrix got = start;
      op(*device, got.view);
      if (threads == 1) {
        first = got.values;
        for (std::int64_t r = 0; r < want.view.rows; ++r) {
          for (std::int64_t c = 0; c < want.view.cols; ++c) {
            const double w = want.view.row(r)[c], g = got.view.row(r)[c], limit = tolerance(r, c, w);
            if (std::isnan(w) && std::isnan(g)) continue;
            ASSERT_LE(std::abs(g - w), limit)
                << what << " " << isa << " row " << r << " column " << c << ": " << g << ", expected " << w;
          }
        }
        const Tensor& v = got.view;
        for (std::int64_t r = 0; r < v.rows; ++r)
          for (std::int64_t c = v.cols; c < v.stride; ++c)
            ASSERT_EQ(v.data[r * v.stride + c], Matrix::kUntouched) << what << " " << isa << " wrote behind row " << r;
      }
      ASSERT_EQ(std::memcmp(first.data(), got.values.data(), first.size() * sizeof(float)), 0)
          << what << " " << isa << ": " << threads << " threads give other bits than one";
    }
  }
}

}  // namespace mtmd::test
