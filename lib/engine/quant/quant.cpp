#include "engine/quant/quant.h"

#include <array>

#include "engine/quant/formats.h"

namespace mtmd::quant {
namespace {

constexpr std::array kFormats = {
    Format{DType::F32, decode_f32, encode_f32},
    Format{DType::F16, decode_f16, encode_f16},
    Format{DType::F64, decode_f64, nullptr},
    Format{DType::BF16, decode_bf16, encode_bf16},
};

}  // namespace

std::span<const Format> all() noexcept { return kFormats; }

const Format* find(DType type) noexcept {
  for (const Format& f : kFormats)
    if (f.type == type) return &f;
  return nullptr;
}

}  // namespace mtmd::quant
