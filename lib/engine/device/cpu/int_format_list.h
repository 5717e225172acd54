// Every format that has integer kernels. For kernel files only.
#pragma once

#include "engine/device/cpu/int_formats.h"
#include "engine/device/cpu/int_formats_iq.h"
#include "engine/device/cpu/int_formats_small.h"
#if defined(__AVX512VNNI__)
#include "engine/device/cpu/int_formats_avx512.h"
#include "engine/device/cpu/int_formats_iq_avx512.h"
#include "engine/device/cpu/int_formats_small_avx512.h"
#endif

/// X(format) for each of them.
// clang-format off
#define MTMD_INT_FORMATS(X)                                                                       \
  X(Q8_0) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K)                 \
  X(IQ4_NL) X(IQ4_XS) X(IQ3_XXS) X(IQ3_S) X(IQ2_XXS) X(IQ2_XS) X(IQ2_S) X(IQ1_S) X(IQ1_M)         \
  X(TQ1_0) X(TQ2_0) X(Q1_0) X(Q2_0) X(MXFP4) X(NVFP4)
// clang-format on
