// F16 and BF16: the usual source of a conversion. Loops that the compiler turns into vector code.
#include "engine/quant/formats.h"

namespace mtmd::quant::ISA {

Decode decode_f16, decode_bf16;

void decode_f16(const std::byte* blocks, float* values, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) values[i] = load_f16(blocks + 2 * i);
}

void encode_f16(const float* values, std::byte* blocks, std::int64_t n, const float*, Effort) {
  for (std::int64_t i = 0; i < n; ++i) store(blocks + 2 * i, narrowed(values[i]));
}

void decode_bf16(const std::byte* blocks, float* values, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    values[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(load<std::uint16_t>(blocks + 2 * i)) << 16);
}

void encode_bf16(const float* values, std::byte* blocks, std::int64_t n, const float*, Effort) {
  for (std::int64_t i = 0; i < n; ++i) store(blocks + 2 * i, narrowed_bf16(values[i]));
}

}  // namespace mtmd::quant::ISA
