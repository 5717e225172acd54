// Private to this folder: the decoders and encoders that quant.cpp collects in its table, and the loads they share.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/quant/quant.h"

namespace mtmd::quant {

/// Blocks have odd sizes: nothing in them is aligned.
template <class T>
inline T load(const std::byte* p) noexcept {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
inline void store(std::byte* p, T v) noexcept {
  std::memcpy(p, &v, sizeof v);
}

/// Half to single precision without branches, so that loops over it vectorise. Rebiasing the exponent by 112 is right
/// for normal numbers; infinities and NaNs are rebiased twice and NaNs made quiet (as VCVTPH2PS does); subnormals are
/// mantissa * 2^-24, exactly.
inline float widened(std::uint16_t half) noexcept {
  constexpr std::uint32_t rebias = 112u << 23;
  const std::uint32_t sign = (half & 0x8000u) << 16, magnitude = (half & 0x7fffu) << 13, mantissa = half & 0x3ffu;
  const auto all_ones_if = [](bool condition) { return 0u - static_cast<std::uint32_t>(condition); };
  const std::uint32_t special = all_ones_if(magnitude >= 31u << 23), subnormal = all_ones_if(magnitude < 1u << 23);
  const std::uint32_t quiet = special & all_ones_if(mantissa != 0) & 0x400000u;
  const std::uint32_t normal = (magnitude + rebias + (special & rebias)) | quiet;
  const auto small = std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(mantissa)) * 0x1p-24f);
  return std::bit_cast<float>(sign | (small & subnormal) | (normal & ~subnormal));
}
inline float load_f16(const std::byte* p) noexcept { return widened(load<std::uint16_t>(p)); }
inline int u8(std::byte b) noexcept { return std::to_integer<int>(b); }
inline int i8(std::byte b) noexcept { return static_cast<std::int8_t>(b); }

using Decode = void(const std::byte* blocks, float* values, std::int64_t n);
using Encode = void(const float* values, std::byte* blocks, std::int64_t n);

// plain.cpp
Decode decode_f32, decode_f16, decode_bf16, decode_f64;
Encode encode_f32, encode_f16, encode_bf16;
// simple.cpp
Decode decode_q4_0, decode_q4_1, decode_q5_0, decode_q5_1, decode_q8_0, decode_q8_1, decode_q8_k;
Encode encode_q4_0, encode_q4_1, encode_q5_0, encode_q5_1, encode_q8_0, encode_q8_1, encode_q8_k;
// k_quants.cpp
Decode decode_q2_k, decode_q3_k, decode_q4_k, decode_q5_k, decode_q6_k;
// iq1.cpp, iq2.cpp, iq3.cpp, iq4.cpp
Decode decode_iq1_s, decode_iq1_m, decode_iq2_xxs, decode_iq2_xs, decode_iq2_s, decode_iq3_xxs, decode_iq3_s;
Decode decode_iq4_nl, decode_iq4_xs, decode_mxfp4, decode_nvfp4;
// ternary.cpp
Decode decode_tq1_0, decode_tq2_0, decode_q1_0, decode_q2_0;

}  // namespace mtmd::quant
