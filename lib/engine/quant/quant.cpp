#include "engine/quant/quant.h"

#include <array>

#include "engine/quant/formats.h"

namespace mtmd::quant {
namespace {

/// Whether encoders look at importance weights.
enum class Weights { ignored, used, needed };

constexpr Format format(DType type, Decode* decode, Encode* encode, Weights weights = Weights::ignored, int d_at = -1,
                        int dmin_at = -1) {
  return {type,
          decode,
          encode,
          static_cast<std::int16_t>(d_at),
          static_cast<std::int16_t>(dmin_at),
          weights != Weights::ignored,
          weights == Weights::needed};
}
using enum Weights;

constexpr std::array kFormats = {
    format(DType::F32, decode_f32, encode_f32),
    format(DType::F16, decode_f16, encode_f16),
    format(DType::Q4_0, decode_q4_0, encode_q4_0, used, 0),
    format(DType::Q4_1, decode_q4_1, encode_q4_1, used, 0, 2),
    format(DType::Q5_0, decode_q5_0, encode_q5_0, used, 0),
    format(DType::Q5_1, decode_q5_1, encode_q5_1, used, 0, 2),
    format(DType::Q8_0, decode_q8_0, encode_q8_0, ignored, 0),
    format(DType::Q8_1, decode_q8_1, encode_q8_1, ignored, 0),
    format(DType::Q2_K, decode_q2_k, encode_q2_k, used, 80, 82),
    format(DType::Q3_K, decode_q3_k, encode_q3_k, used, 108),
    format(DType::Q4_K, decode_q4_k, encode_q4_k, used, 0, 2),
    format(DType::Q5_K, decode_q5_k, encode_q5_k, used, 0, 2),
    format(DType::Q6_K, decode_q6_k, encode_q6_k, used, 208),
    format(DType::Q8_K, decode_q8_k, encode_q8_k),
    format(DType::IQ2_XXS, decode_iq2_xxs, encode_iq2_xxs, needed, 0),
    format(DType::IQ2_XS, decode_iq2_xs, encode_iq2_xs, needed, 0),
    format(DType::IQ3_XXS, decode_iq3_xxs, encode_iq3_xxs, used, 0),
    format(DType::IQ1_S, decode_iq1_s, encode_iq1_s, needed, 0),
    format(DType::IQ4_NL, decode_iq4_nl, encode_iq4_nl, used, 0),
    format(DType::IQ3_S, decode_iq3_s, encode_iq3_s, used, 0),
    format(DType::IQ2_S, decode_iq2_s, encode_iq2_s, used, 0),
    format(DType::IQ4_XS, decode_iq4_xs, encode_iq4_xs, used, 0),
    format(DType::F64, decode_f64, nullptr),
    format(DType::IQ1_M, decode_iq1_m, encode_iq1_m, used),
    format(DType::BF16, decode_bf16, encode_bf16),
    format(DType::TQ1_0, decode_tq1_0, encode_tq1_0, ignored, 52),
    format(DType::TQ2_0, decode_tq2_0, encode_tq2_0, ignored, 64),
    format(DType::MXFP4, decode_mxfp4, encode_mxfp4),
    format(DType::NVFP4, decode_nvfp4, encode_nvfp4),
    format(DType::Q1_0, decode_q1_0, encode_q1_0, ignored, 0),
    format(DType::Q2_0, decode_q2_0, encode_q2_0, ignored, 0),
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
