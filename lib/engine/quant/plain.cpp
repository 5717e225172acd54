// Types without blocks: F32, F64. F16, BF16: half_rows.cpp.
#include <cstring>

#include "engine/quant/formats.h"

namespace mtmd::quant {

void decode_f32(const std::byte* blocks, float* values, std::int64_t n) {
  if (n > 0) std::memcpy(values, blocks, static_cast<std::size_t>(n) * sizeof(float));
}

void encode_f32(const float* values, std::byte* blocks, std::int64_t n, const float*, Effort) {
  if (n > 0) std::memcpy(blocks, values, static_cast<std::size_t>(n) * sizeof(float));
}

void decode_f64(const std::byte* blocks, float* values, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) values[i] = static_cast<float>(load<double>(blocks + 8 * i));
}

}  // namespace mtmd::quant
