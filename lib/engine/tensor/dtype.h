// Element types of GGUF tensors and their block geometry. The numbers are GGUF's own type ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace mtmd {

enum class DType : std::uint32_t {
  F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, Q8_1 = 9,
  Q2_K = 10, Q3_K = 11, Q4_K = 12, Q5_K = 13, Q6_K = 14, Q8_K = 15,
  IQ2_XXS = 16, IQ2_XS = 17, IQ3_XXS = 18, IQ1_S = 19, IQ4_NL = 20, IQ3_S = 21, IQ2_S = 22, IQ4_XS = 23,
  I8 = 24, I16 = 25, I32 = 26, I64 = 27, F64 = 28, IQ1_M = 29, BF16 = 30,
  TQ1_0 = 34, TQ2_0 = 35, MXFP4 = 39, NVFP4 = 40, Q1_0 = 41, Q2_0 = 42,
};

struct DTypeInfo {
  DType type;
  std::string_view name;
  std::uint32_t block_size;   ///< values per block
  std::uint32_t block_bytes;  ///< bytes per block
};

/// Every type we know, in id order.
std::span<const DTypeInfo> all_dtypes() noexcept;
/// The row of a type; `type` must be one of the enumerators.
const DTypeInfo& info(DType type) noexcept;
/// The type with this GGUF id, if we know it.
std::optional<DType> dtype_from_id(std::uint32_t id) noexcept;
/// By name, any letter case ("q4_k", "Q4_K").
std::optional<DType> dtype_from_name(std::string_view name) noexcept;
inline std::string_view name(DType type) noexcept { return info(type).name; }

/// Bytes of a row of `n` values; n must be a multiple of the block size.
inline std::size_t row_bytes(DType type, std::int64_t n) noexcept {
  const DTypeInfo& t = info(type);
  return static_cast<std::size_t>(n) / t.block_size * t.block_bytes;
}

}  // namespace mtmd
