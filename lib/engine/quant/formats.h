// Private to this folder: the decoders and encoders that quant.cpp collects in its table, and the loads they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "engine/base/isa.h"
#include "engine/quant/kernels.h"
#include "engine/quant/quant.h"

namespace mtmd::quant {

// Forced inline: files that are compiled once per instruction set use these too (see kernels.h).

/// Blocks have odd sizes: nothing in them is aligned.
template <class T>
[[gnu::always_inline]] inline T load(const std::byte* p) noexcept {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
[[gnu::always_inline]] inline void store(std::byte* p, T v) noexcept {
  std::memcpy(p, &v, sizeof v);
}

/// Half to single precision without branches, so that loops over it vectorise. Rebiasing the exponent by 112 is right
/// for normal numbers; infinities and NaNs are rebiased twice and NaNs made quiet (as VCVTPH2PS does); subnormals are
/// mantissa * 2^-24, exactly.
[[gnu::always_inline]] inline float widened(std::uint16_t half) noexcept {
  constexpr std::uint32_t rebias = 112u << 23;
  const std::uint32_t sign = (half & 0x8000u) << 16, magnitude = (half & 0x7fffu) << 13, mantissa = half & 0x3ffu;
  const auto all_ones_if = [](bool condition) { return 0u - static_cast<std::uint32_t>(condition); };
  const std::uint32_t special = all_ones_if(magnitude >= 31u << 23), subnormal = all_ones_if(magnitude < 1u << 23);
  const std::uint32_t quiet = special & all_ones_if(mantissa != 0) & 0x400000u;
  const std::uint32_t normal = (magnitude + rebias + (special & rebias)) | quiet;
  const auto small =
      __builtin_bit_cast(std::uint32_t, static_cast<float>(static_cast<std::int32_t>(mantissa)) * 0x1p-24f);
  return __builtin_bit_cast(float, sign | (small & subnormal) | (normal & ~subnormal));
}
/// Single to half precision, to nearest even (as VCVTPS2PH does), without branches. Normal halves take their bits,
/// moved; a carry may run into the exponent, up to infinity. Adding 0.5 leaves units of 2^-24, the subnormal halves, in
/// the low mantissa bits, rounded by the FPU. NaNs stay NaNs.
[[gnu::always_inline]] inline std::uint16_t narrowed(float value) noexcept {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  const std::uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  const std::uint32_t finite = magnitude < 0x47800000u ? magnitude : 0x47800000u;
  const std::uint32_t normal = (finite + 0xfffu + (finite >> 13 & 1u) - 0x38000000u) >> 13;
  const std::uint32_t small = __builtin_bit_cast(std::uint32_t, __builtin_bit_cast(float, finite) + 0.5f) - 0x3f000000u;
  const std::uint32_t half = magnitude < 0x38800000u ? small : normal;
  const std::uint32_t nan = 0x7e00u | (magnitude >> 13 & 0x3ffu);
  return static_cast<std::uint16_t>(sign | (magnitude > 0x7f800000u ? nan : half));
}
/// Single precision to bfloat16, to nearest even; NaNs become quiet.
[[gnu::always_inline]] inline std::uint16_t narrowed_bf16(float value) noexcept {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  const std::uint32_t nearest = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 64u : nearest);
}
[[gnu::always_inline]] inline float load_f16(const std::byte* p) noexcept { return widened(load<std::uint16_t>(p)); }
[[gnu::always_inline]] inline int u8(std::byte b) noexcept { return std::to_integer<int>(b); }
[[gnu::always_inline]] inline int i8(std::byte b) noexcept { return static_cast<std::int8_t>(b); }

/// 2^(e - 128): half of an e8m0 scale, so that it can multiply twice the value. The lowest two are subnormal.
[[gnu::always_inline]] inline float half_e8m0(int e) {
  return __builtin_bit_cast(float, e < 2 ? 0x200000u << e : static_cast<std::uint32_t>(e - 1) << 23);
}

/// Half of an unsigned e4m3 scale (bias 7); the codes 0x7f and above 0x7f are no numbers and count as zero / unsigned.
[[gnu::always_inline]] inline float half_e4m3(int code) {
  if (code == 0x7f) return 0;
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const float value = exponent ? static_cast<float>(8 + mantissa) *
                                     __builtin_bit_cast(float, static_cast<std::uint32_t>(exponent + 117) << 23)
                               : static_cast<float>(mantissa) * 0x1p-9f;
  return value * 0.5f;
}

using Decode = void(const std::byte* blocks, float* values, std::int64_t n);
using Encode = void(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort);

// plain.cpp
Decode decode_f32, decode_f64;
Encode encode_f32;
// simple.cpp
Decode decode_q4_0, decode_q4_1, decode_q5_0, decode_q5_1, decode_q8_0, decode_q8_1, decode_q8_k;
Encode encode_q8_1, encode_q8_k;
// k_quants.cpp
Decode decode_q2_k, decode_q3_k, decode_q4_k, decode_q5_k, decode_q6_k;
// iq1.cpp, iq2.cpp, iq3.cpp, iq4.cpp
Decode decode_iq1_s, decode_iq1_m, decode_iq2_xxs, decode_iq2_xs, decode_iq2_s, decode_iq3_xxs, decode_iq3_s;
Decode decode_iq4_nl, decode_iq4_xs, decode_mxfp4, decode_nvfp4;
// ternary.cpp
Decode decode_tq1_0, decode_tq2_0, decode_q1_0, decode_q2_0;

// dispatch.cpp: the decoders and encoders of kernels.h, each in the instruction set of this machine.
Decode decode_f16, decode_bf16;
#define MTMD_DECLARE(type) Encode encode_##type;
MTMD_QUANT_ENCODERS(MTMD_DECLARE)
#undef MTMD_DECLARE

struct NamedEncoder {
  std::string_view type;  ///< "q4_0"
  Encode* encode;
};
/// The copies of one instruction set, in the order of kernels.h; the machine must have it.
std::span<const NamedEncoder> encoders(Isa isa) noexcept;

}  // namespace mtmd::quant
