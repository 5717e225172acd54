// IEEE 754 half precision and bfloat16, in integer arithmetic: the same on every machine.
#include <bit>

#include "engine/quant/formats.h"

namespace mtmd::quant {

float f16_to_f32(std::uint16_t bits) noexcept { return widened(bits); }

std::uint16_t f32_to_f16(float value) noexcept { return narrowed(value); }

std::uint16_t f32_to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 | 64u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

}  // namespace mtmd::quant
