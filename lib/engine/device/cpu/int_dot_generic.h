// One-token products of any integer format: unpack a block, then multiply. For kernel files only.
#pragma once

#include "engine/device/cpu/int_format_list.h"
#include "engine/device/cpu/matmul_kernels.h"

namespace mtmd::cpu {
namespace {

template <int kGroup>
inline std::int32_t dot_group(const Int8* w, const Int8* x) noexcept {
  std::int32_t sum = 0;
  for (int i = 0; i < kGroup; ++i) sum += w[i] * x[i];
  return sum;
}

constexpr int kDotTokens = 2, kQuadTokens = 0;

template <class F>
void dot_rows(const std::byte* w, std::size_t row_bytes, std::int64_t rows, std::int64_t cols, const ActRow* x,
              int tokens, float* y, std::int64_t pitch) {
  constexpr int kGroups = F::values / F::group, kPerScale = 32 / F::group;
  for (std::int64_t r = 0; r < rows; ++r) {
    const Byte* b = reinterpret_cast<const Byte*>(w) + static_cast<std::size_t>(r) * row_bytes;
    float total[kDotTokens] = {};
    for (std::int64_t k = 0; k < cols; k += F::values, b += F::bytes) {
      alignas(64) Int8 q[F::values];
      float scale[kGroups], min[kGroups];
      F::unpack(b, q, scale, min);
      for (int t = 0; t < tokens; ++t)
        for (int g = 0; g < kGroups; ++g) {
          const std::int64_t at = k / F::group + g;
          total[t] += scale[g] * x[t].d[at / kPerScale] *
                      static_cast<float>(dot_group<F::group>(q + g * F::group, x[t].q + k + g * F::group));
          if constexpr (F::has_min) total[t] += min[g] * (kPerScale == 1 ? x[t].sum32 : x[t].sum16)[at];
        }
    }
    for (int t = 0; t < tokens; ++t) y[t * pitch + r] = total[t];
  }
}

}  // namespace
}  // namespace mtmd::cpu
