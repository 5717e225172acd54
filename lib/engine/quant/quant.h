// Block formats: one row per type in one table, one file per family of formats (layouts: docs/quant.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/tensor/dtype.h"

namespace mtmd::quant {

/// How long an encoder may search.
enum class Effort : std::uint8_t {
  standard,  ///< the reference quantiser's search, and its bytes (docs/quant.md: which types)
  best,      ///< a longer one: never a larger (weighted) squared error of a row, on average a smaller one
};

struct Format {
  DType type;
  /// `n` values (a multiple of the block size) from their blocks: the definition of the format, bit exact.
  void (*decode)(const std::byte* blocks, float* values, std::int64_t n);
  /// The inverse, for one row of a tensor: `n` values (a multiple of the block size) with `importance`, `n` weights >=
  /// 0 of their squared errors, or null: no weights. Types that do not use importance ignore it; types that need it
  /// take null for equal weights. The same bytes on every instruction set. Values that are not finite give unspecified
  /// blocks: the caller rejects them before. Null only for F64, which nothing writes.
  void (*encode)(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort);
  /// Byte offsets within a block of its half-precision scales (d, then dmin or m); -1: there is none. IQ1_M spreads its
  /// scale over four words, Q8_K's is f32: they have -1, as the types without blocks.
  std::int16_t d_at = -1, dmin_at = -1;
  bool uses_importance = false;   ///< encode looks at the weights
  bool needs_importance = false;  ///< too coarse to be of use without (llama-quantize refuses)
};

/// Null when the type has no decoder here.
const Format* find(DType type) noexcept;
std::span<const Format> all() noexcept;

float f16_to_f32(std::uint16_t bits) noexcept;
std::uint16_t f32_to_f16(float value) noexcept;  ///< round to nearest even, like VCVTPS2PH
inline float bf16_to_f32(std::uint16_t bits) noexcept {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
}
std::uint16_t f32_to_bf16(float value) noexcept;  ///< round to nearest even; a NaN stays a (quiet) NaN

}  // namespace mtmd::quant
