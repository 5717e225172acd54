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

Decode decode_f32, decode_f16, decode_bf16, decode_f64;  // plain.cpp
Encode encode_f32, encode_f16, encode_bf16;

}  // namespace mtmd::quant
