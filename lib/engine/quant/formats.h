// Private to this folder: the decoders and encoders that quant.cpp collects in its table, and the loads they share.
#pragma once

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
inline float load_f16(const std::byte* p) noexcept { return f16_to_f32(load<std::uint16_t>(p)); }
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
