#include "bench/random_rows.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "engine/base/error.h"
#include "engine/quant/quant.h"

namespace mtmd::bench {

std::vector<std::byte> random_pattern(DType type, std::int64_t cols, float scale) {
  const quant::Format* format = quant::find(type);
  if (!format || !format->encode) fail(ErrorCategory::usage, "bench: nothing here encodes {}", name(type));
  if (cols % info(type).block_size != 0)
    fail(ErrorCategory::usage, "bench: rows of {} values are not whole blocks of {} ({})", cols, info(type).block_size,
         name(type));
  // An odd number of rows, so that neighbouring matrices differ; few for the types whose search is slow.
  const std::int64_t rows = std::clamp<std::int64_t>(16384 / cols, 1, 31) | 1;
  const std::size_t bytes = row_bytes(type, cols);
  std::vector<std::byte> pattern(bytes * static_cast<std::size_t>(rows));
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(static_cast<std::size_t>(cols));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (float& v : values) v = normal(random);
    format->encode(values.data(), pattern.data() + bytes * static_cast<std::size_t>(r), cols, nullptr,
                   quant::Effort::standard);
  }
  return pattern;
}

void fill(std::span<std::byte> bytes, std::span<const std::byte> pattern) {
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t n = std::min(pattern.size(), bytes.size() - done);
    std::memcpy(bytes.data() + done, pattern.data(), n);
    done += n;
  }
}

std::vector<std::byte> random_rows(DType type, std::int64_t cols, std::int64_t rows) {
  std::vector<std::byte> bytes(row_bytes(type, cols) * static_cast<std::size_t>(rows));
  fill(bytes, random_pattern(type, cols, 0.05f));
  return bytes;
}

}  // namespace mtmd::bench
