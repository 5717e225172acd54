#include "engine/tensor/dtype.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace mtmd {
namespace {

constexpr std::array kTypes = {
    DTypeInfo{DType::F32, "F32", 1, 4},         DTypeInfo{DType::F16, "F16", 1, 2},
    DTypeInfo{DType::Q4_0, "Q4_0", 32, 18},     DTypeInfo{DType::Q4_1, "Q4_1", 32, 20},
    DTypeInfo{DType::Q5_0, "Q5_0", 32, 22},     DTypeInfo{DType::Q5_1, "Q5_1", 32, 24},
    DTypeInfo{DType::Q8_0, "Q8_0", 32, 34},     DTypeInfo{DType::Q8_1, "Q8_1", 32, 36},
    DTypeInfo{DType::Q2_K, "Q2_K", 256, 84},    DTypeInfo{DType::Q3_K, "Q3_K", 256, 110},
    DTypeInfo{DType::Q4_K, "Q4_K", 256, 144},   DTypeInfo{DType::Q5_K, "Q5_K", 256, 176},
    DTypeInfo{DType::Q6_K, "Q6_K", 256, 210},   DTypeInfo{DType::Q8_K, "Q8_K", 256, 292},
    DTypeInfo{DType::IQ2_XXS, "IQ2_XXS", 256, 66}, DTypeInfo{DType::IQ2_XS, "IQ2_XS", 256, 74},
    DTypeInfo{DType::IQ3_XXS, "IQ3_XXS", 256, 98}, DTypeInfo{DType::IQ1_S, "IQ1_S", 256, 50},
    DTypeInfo{DType::IQ4_NL, "IQ4_NL", 32, 18}, DTypeInfo{DType::IQ3_S, "IQ3_S", 256, 110},
    DTypeInfo{DType::IQ2_S, "IQ2_S", 256, 82},  DTypeInfo{DType::IQ4_XS, "IQ4_XS", 256, 136},
    DTypeInfo{DType::I8, "I8", 1, 1},           DTypeInfo{DType::I16, "I16", 1, 2},
    DTypeInfo{DType::I32, "I32", 1, 4},         DTypeInfo{DType::I64, "I64", 1, 8},
    DTypeInfo{DType::F64, "F64", 1, 8},         DTypeInfo{DType::IQ1_M, "IQ1_M", 256, 56},
    DTypeInfo{DType::BF16, "BF16", 1, 2},       DTypeInfo{DType::TQ1_0, "TQ1_0", 256, 54},
    DTypeInfo{DType::TQ2_0, "TQ2_0", 256, 66},  DTypeInfo{DType::MXFP4, "MXFP4", 32, 17},
    DTypeInfo{DType::NVFP4, "NVFP4", 64, 36},   DTypeInfo{DType::Q1_0, "Q1_0", 128, 18},
    DTypeInfo{DType::Q2_0, "Q2_0", 64, 18},
};

constexpr std::uint32_t kMaxId = static_cast<std::uint32_t>(DType::Q2_0);

constexpr auto kRowOfId = [] {
  std::array<std::int8_t, kMaxId + 1> rows{};
  rows.fill(-1);
  for (std::size_t i = 0; i < kTypes.size(); ++i) rows[static_cast<std::uint32_t>(kTypes[i].type)] = static_cast<std::int8_t>(i);
  return rows;
}();

}  // namespace

std::span<const DTypeInfo> all_dtypes() noexcept { return kTypes; }

const DTypeInfo& info(DType type) noexcept { return kTypes[kRowOfId[static_cast<std::uint32_t>(type)]]; }

std::optional<DType> dtype_from_id(std::uint32_t id) noexcept {
  if (id > kMaxId || kRowOfId[id] < 0) return std::nullopt;
  return static_cast<DType>(id);
}

std::optional<DType> dtype_from_name(std::string_view wanted) noexcept {
  const auto same = [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; };
  for (const DTypeInfo& t : kTypes)
    if (std::ranges::equal(wanted, t.name, same)) return t.type;
  return std::nullopt;
}

}  // namespace mtmd
