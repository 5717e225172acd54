// Half precision for kernel files (compiled per instruction set, so everything here is file-local).
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSSE3__)
#include <immintrin.h>
#endif

namespace mtmd::cpu {
namespace {

[[maybe_unused]] inline float half_to_float(std::uint16_t h) noexcept {
#if defined(__F16C__)
  return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
#else
  // Exponent and mantissa moved to f32's places and rescaled by 2^112; infinities and NaNs need the full exponent.
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000u) << 16,
                      rest = static_cast<std::uint32_t>(h & 0x7fffu) << 13;
  std::uint32_t bits = __builtin_bit_cast(std::uint32_t, __builtin_bit_cast(float, rest) * 0x1p112f);
  bits = rest >= 0x0f800000u ? (rest | 0x7f800000u) : bits;
  return __builtin_bit_cast(float, bits | sign);
#endif
}

template <class T>
inline T load_as(const void* p) noexcept {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

[[maybe_unused]] inline float load_half(const std::uint8_t* p) noexcept {
  return half_to_float(load_as<std::uint16_t>(p));
}

}  // namespace
}  // namespace mtmd::cpu
