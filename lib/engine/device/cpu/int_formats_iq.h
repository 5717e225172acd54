// The codebook formats IQ1, IQ2 and IQ3 as integers (see int_formats.h). For kernel files only.
#pragma once

#include "engine/device/cpu/int_formats.h"
#include "engine/quant/codebooks.h"

namespace mtmd::cpu {
namespace {

/// Bit j of `bits` as byte j: 0 or 1.
inline std::uint64_t spread_bits(unsigned bits) noexcept {
  const std::uint64_t alone = bits * 0x0101010101010101ull & 0x8040201008040201ull;
  return (alone + 0x7f7f7f7f7f7f7f7full) >> 7 & 0x0101010101010101ull;
}

/// q = the magnitudes of a run, none of them zero, negative where `signs` has a bit.
inline void signed_run(std::uint64_t run, unsigned signs, Int8* q) noexcept {
  const std::uint64_t negative = spread_bits(signs & 255u);
  const std::uint64_t v = ((run ^ 0x8080808080808080ull) ^ (negative * 255u)) + negative;
  std::memcpy(q, &v, 8);
}

/// Seven signs; the eighth makes the number of minus signs even.
inline unsigned even_signs(unsigned index) noexcept {
  unsigned odd = index ^ index >> 4;
  odd ^= odd >> 2;
  odd ^= odd >> 1;
  return index | (odd & 1u) << 7;
}

struct IQ2_XXS {
  static constexpr DType type = DType::IQ2_XXS;
  static constexpr int values = 256, bytes = 66, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    const float d = load_half(b) * 0.125f;
    for (int g = 0; g < 8; ++g) {
      const Byte* index = b + 2 + 8 * g;
      const auto signs = load_as<std::uint32_t>(index + 4);
      scale[g] = d * static_cast<float>(2 * (signs >> 28) + 1);
      for (int r = 0; r < 4; ++r)
        signed_run(quant::kIq2XxsRuns.entries[index[r]], even_signs(signs >> 7 * r & 127u), q + 32 * g + 8 * r);
    }
  }
};

/// Sixteen scales of four bits.
inline void scales_iq2(const Byte* s, float d, float* scale) noexcept {
  for (int j = 0; j < 16; ++j) scale[j] = d * 0.125f * static_cast<float>(2 * (s[j / 2] >> 4 * (j % 2) & 15) + 1);
}

struct IQ2_XS {
  static constexpr DType type = DType::IQ2_XS;
  static constexpr int values = 256, bytes = 74, group = 16;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    scales_iq2(b + 66, load_half(b), scale);
    for (int r = 0; r < 32; ++r) {
      const unsigned index = load_as<std::uint16_t>(b + 2 + 2 * r);
      signed_run(quant::kIq2XsRuns.entries[index & 511u], even_signs(index >> 9), q + 8 * r);
    }
  }
};

struct IQ2_S {
  static constexpr DType type = DType::IQ2_S;
  static constexpr int values = 256, bytes = 82, group = 16;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    scales_iq2(b + 74, load_half(b), scale);
    for (int r = 0; r < 32; ++r) {
      const int index = b[2 + r] | (b[66 + r / 4] >> 2 * (r % 4) & 3) << 8;
      signed_run(quant::kIq2SRuns.entries[index], b[34 + r], q + 8 * r);
    }
  }
};

/// Two runs of four, one after the other.
inline std::uint64_t run_pair(std::uint32_t first, std::uint32_t second) noexcept {
  return first | static_cast<std::uint64_t>(second) << 32;
}

struct IQ3_XXS {
  static constexpr DType type = DType::IQ3_XXS;
  static constexpr int values = 256, bytes = 98, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    const auto& runs = quant::kIq3XxsRuns.entries;
    const float d = load_half(b) * 0.25f;
    for (int g = 0; g < 8; ++g) {
      const Byte* index = b + 2 + 8 * g;
      const auto signs = load_as<std::uint32_t>(b + 66 + 4 * g);
      scale[g] = d * static_cast<float>(2 * (signs >> 28) + 1);
      for (int r = 0; r < 4; ++r)
        signed_run(run_pair(runs[index[2 * r]], runs[index[2 * r + 1]]), even_signs(signs >> 7 * r & 127u),
                   q + 32 * g + 8 * r);
    }
  }
};

struct IQ3_S {
  static constexpr DType type = DType::IQ3_S;
  static constexpr int values = 256, bytes = 110, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    const auto& runs = quant::kIq3SRuns.entries;
    const float d = load_half(b);
    for (int g = 0; g < 8; ++g) {
      const Byte* index = b + 2 + 8 * g;
      const int high = b[66 + g];
      scale[g] = d * static_cast<float>(2 * (b[106 + g / 2] >> 4 * (g % 2) & 15) + 1);
      for (int r = 0; r < 4; ++r) {
        const int first = index[2 * r] | (high >> 2 * r & 1) << 8, second = index[2 * r + 1] | (high >> (2 * r + 1) & 1)
                                                                                                   << 8;
        signed_run(run_pair(runs[first], runs[second]), b[74 + 4 * g + r], q + 32 * g + 8 * r);
      }
    }
  }
};

/// Eighths: eight times a run of -1, 0, 1, plus or minus one.
inline void shifted_run(unsigned index, bool down, Int8* q) noexcept {
  const std::uint64_t v = quant::kIq1Runs.entries[index] + (down ? ~0x0101010101010101ull + 1 : 0x0101010101010101ull);
  const std::uint64_t plain = v ^ 0x8080808080808080ull;
  std::memcpy(q, &plain, 8);
}

struct IQ1_S {
  static constexpr DType type = DType::IQ1_S;
  static constexpr int values = 256, bytes = 50, group = 32;
  static constexpr bool has_min = false;
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    const float d = load_half(b) * 0.125f;
    for (int g = 0; g < 8; ++g) {
      const unsigned word = load_as<std::uint16_t>(b + 34 + 2 * g);
      scale[g] = d * static_cast<float>(2 * (word >> 12 & 7u) + 1);
      for (int r = 0; r < 4; ++r)
        shifted_run(b[2 + 4 * g + r] | (word >> 3 * r & 7u) << 8, word & 0x8000u, q + 32 * g + 8 * r);
    }
  }
};

struct IQ1_M {
  static constexpr DType type = DType::IQ1_M;
  static constexpr int values = 256, bytes = 56, group = 16;
  static constexpr bool has_min = false;
  /// The half-precision scale is spread over the top nibbles of four words.
  static float whole_scale(std::uint64_t words) noexcept {
    return half_to_float(static_cast<std::uint16_t>((words >> 12 & 0xfu) | (words >> 24 & 0xf0u) |
                                                    (words >> 36 & 0xf00u) | (words >> 48 & 0xf000u)));
  }
  static void unpack(const Byte* b, Int8* q, float* scale, float*) noexcept {
    const auto words = load_as<std::uint64_t>(b + 48);
    const float d = whole_scale(words) * 0.125f;
    for (int j = 0; j < 16; ++j)
      scale[j] = d * static_cast<float>(2 * static_cast<int>(words >> (j / 4 * 16 + j % 4 * 3) & 7u) + 1);
    for (int r = 0; r < 32; ++r) {
      const unsigned nibble = b[32 + r / 2] >> 4 * (r % 2) & 15u;
      shifted_run(b[r] | (nibble & 7u) << 8, nibble & 8u, q + 8 * r);
    }
  }
};

}  // namespace
}  // namespace mtmd::cpu
