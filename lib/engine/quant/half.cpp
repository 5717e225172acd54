// IEEE 754 half precision and bfloat16, in integer arithmetic: the same on every machine.
#include "engine/quant/formats.h"

namespace mtmd::quant {

float f16_to_f32(std::uint16_t bits) noexcept { return widened(bits); }

std::uint16_t f32_to_f16(float value) noexcept { return narrowed(value); }

std::uint16_t f32_to_bf16(float value) noexcept { return narrowed_bf16(value); }

}  // namespace mtmd::quant
