// IEEE 754 half precision and bfloat16, in integer arithmetic: the same on every machine.
#include <bit>

#include "engine/quant/formats.h"

namespace mtmd::quant {

float f16_to_f32(std::uint16_t bits) noexcept { return widened(bits); }

std::uint16_t f32_to_f16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
  std::uint32_t half;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u | (magnitude >> 13 & 0x3ffu);
  } else if (magnitude >= 0x47800000u) {  // 2^16 and above, infinity
    half = 0x7c00u;
  } else if (magnitude >= 0x38800000u) {  // normal halves; a carry may run into the exponent, up to infinity
    const std::uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    half = (rounded - 0x38000000u) >> 13;
  } else {
    // Subnormal halves: adding 0.5 leaves units of 2^-24 in the low mantissa bits, rounded to nearest even by the FPU.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  }
  return static_cast<std::uint16_t>(sign | half);
}

std::uint16_t f32_to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 | 64u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

}  // namespace mtmd::quant
