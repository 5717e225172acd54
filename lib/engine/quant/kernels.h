// Private to this folder: the encoders that are compiled once per instruction set.
//
// Such a file is listed in mtmd_isa_sources (CMakeLists.txt), compiled with -DISA=base|avx2|avx512, keeps everything in
// an anonymous namespace and ends with its encoders: namespace mtmd::quant::ISA { void encode_q4_0(…) {…} }. It must
// not use inline library code (std:: containers, algorithms, cmath): the copy that the linker keeps could be the one
// with AVX. Every copy does the same float operations in the same order per value (-ffp-contract=off), so that the
// bytes do not depend on the machine: a vector holds different blocks or different candidates, never parts of one sum.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mtmd::quant {

enum class Effort : std::uint8_t;

/// X(type) for each of them, type as in encode_##type. half_rows.cpp; simple_encode.cpp; k_encode.cpp; small_encode.cpp;
/// iq*_encode.cpp
// clang-format off
#define MTMD_QUANT_ENCODERS(X)            \
  X(f16) X(bf16)                          \
  X(q4_0) X(q4_1) X(q5_0) X(q5_1) X(q8_0) \
  X(q2_k) X(q3_k) X(q4_k) X(q5_k) X(q6_k) \
  X(tq1_0) X(tq2_0) X(q1_0) X(q2_0) X(mxfp4) X(nvfp4) \
  X(iq4_nl) X(iq4_xs) X(iq3_xxs) X(iq3_s) X(iq2_xxs) X(iq2_xs) X(iq2_s) X(iq1_s) X(iq1_m)
// clang-format on

}  // namespace mtmd::quant
