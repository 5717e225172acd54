#include "engine/quant/quant.h"

#include <array>

#include "engine/quant/formats.h"

namespace mtmd::quant {
namespace {

constexpr std::array kFormats = {
    Format{DType::F32, decode_f32, encode_f32},
    Format{DType::F16, decode_f16, encode_f16},
    Format{DType::Q4_0, decode_q4_0, encode_q4_0, 0},
    Format{DType::Q4_1, decode_q4_1, encode_q4_1, 0, 2},
    Format{DType::Q5_0, decode_q5_0, encode_q5_0, 0},
    Format{DType::Q5_1, decode_q5_1, encode_q5_1, 0, 2},
    Format{DType::Q8_0, decode_q8_0, encode_q8_0, 0},
    Format{DType::Q8_1, decode_q8_1, encode_q8_1, 0},
    Format{DType::Q2_K, decode_q2_k, nullptr, 80, 82},
    Format{DType::Q3_K, decode_q3_k, nullptr, 108},
    Format{DType::Q4_K, decode_q4_k, nullptr, 0, 2},
    Format{DType::Q5_K, decode_q5_k, nullptr, 0, 2},
    Format{DType::Q6_K, decode_q6_k, nullptr, 208},
    Format{DType::Q8_K, decode_q8_k, encode_q8_k},
    Format{DType::IQ2_XXS, decode_iq2_xxs, nullptr, 0},
    Format{DType::IQ2_XS, decode_iq2_xs, nullptr, 0},
    Format{DType::IQ3_XXS, decode_iq3_xxs, nullptr, 0},
    Format{DType::IQ1_S, decode_iq1_s, nullptr, 0},
    Format{DType::IQ4_NL, decode_iq4_nl, nullptr, 0},
    Format{DType::IQ3_S, decode_iq3_s, nullptr, 0},
    Format{DType::IQ2_S, decode_iq2_s, nullptr, 0},
    Format{DType::IQ4_XS, decode_iq4_xs, nullptr, 0},
    Format{DType::F64, decode_f64, nullptr},
    Format{DType::IQ1_M, decode_iq1_m, nullptr},
    Format{DType::BF16, decode_bf16, encode_bf16},
    Format{DType::TQ1_0, decode_tq1_0, nullptr, 52},
    Format{DType::TQ2_0, decode_tq2_0, nullptr, 64},
    Format{DType::MXFP4, decode_mxfp4, nullptr},
    Format{DType::NVFP4, decode_nvfp4, nullptr},
    Format{DType::Q1_0, decode_q1_0, nullptr, 0},
    Format{DType::Q2_0, decode_q2_0, nullptr, 0},
};

}  // namespace

std::span<const Format> all() noexcept { return kFormats; }

const Format* find(DType type) noexcept {
  static const auto row_of_id = [] {
    std::array<const Format*, 256> rows{};
    for (const Format& f : kFormats) rows[static_cast<std::uint32_t>(f.type)] = &f;
    return rows;
  }();
  const auto id = static_cast<std::uint32_t>(type);
  return id < row_of_id.size() ? row_of_id[id] : nullptr;
}

}  // namespace mtmd::quant
