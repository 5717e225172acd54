// The named recipes of llama-quantize: what `Q4_K_M` or `15` on the command line means.
#pragma once

#include <span>
#include <string_view>

#include "engine/tensor/dtype.h"

namespace mtmd::quantize {

/// One name that a user can ask for. The recipes themselves are in recipe.cpp.
struct FileType {
  enum class Id {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q8_0 = 7,
    Q5_0 = 8,
    Q5_1 = 9,
    Q2_K = 10,
    Q3_K_S = 11,
    Q3_K_M = 12,
    Q3_K_L = 13,
    Q4_K_S = 14,
    Q4_K_M = 15,
    Q5_K_S = 16,
    Q5_K_M = 17,
    Q6_K = 18,
    IQ2_XXS = 19,
    IQ2_XS = 20,
    Q2_K_S = 21,
    IQ3_XS = 22,
    IQ3_XXS = 23,
    IQ1_S = 24,
    IQ4_NL = 25,
    IQ3_S = 26,
    IQ3_M = 27,
    IQ2_S = 28,
    IQ2_M = 29,
    IQ4_XS = 30,
    IQ1_M = 31,
    BF16 = 32,
    TQ1_0 = 36,
    TQ2_0 = 37,
    MXFP4_MOE = 38,
    NVFP4 = 39,
    Q1_0 = 40,
    Q2_0 = 41,
    MXFP4 = 1000,
    copy = 1001,  ///< ours: blocks in MXFP4, the rest Q8_0; every tensor as it is
  };
  Id id{};
  std::string_view name;
  DType base{};           ///< of the tensors that no rule singles out
  std::string_view note;  ///< for --help: bits per weight of a dense model of 8 billion weights

  /// The number stored as general.file_type.
  int number() const noexcept { return id == Id::MXFP4 ? 38 : static_cast<int>(id); }
  bool copies() const noexcept { return id == Id::copy; }
};

std::span<const FileType> file_types() noexcept;

/// Null when `text` is no name, alias (Q3_K, Q4_K, Q5_K, …) or number; any letter case.
const FileType* find_file_type(std::string_view text) noexcept;

/// The same, but throws Error(usage) naming the nearest known name.
const FileType& file_type(std::string_view text);

/// A tensor type by name (q4_k, F16, …). Throws Error(usage) naming `option` and the nearest known name.
DType tensor_type(std::string_view text, std::string_view option);

}  // namespace mtmd::quantize
