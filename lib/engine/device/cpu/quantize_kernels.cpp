// Activations to int8, 32 values to a scale.
#include <cstring>

#include "engine/device/cpu/isa_functions.h"

namespace mtmd::cpu::ISA {
namespace {

/// 32 values rounded to q = rint(x / d), d = max|x| / 127. A NaN or infinity makes d NaN and q zero.
inline float round32(const float* x, std::int8_t* q) noexcept {
  std::int32_t top = 0;  // magnitudes order like their bits
  for (int i = 0; i < 32; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7fffffff;
    top = bits > top ? bits : top;
  }
  const float max = __builtin_bit_cast(float, top);
  const bool finite = top < 0x7f800000;
  const float d = finite ? max / 127.0f : __builtin_nanf("");
  // Below 2^-120 the inverse would overflow; such values are zero for every purpose.
  const float inverse = finite && max > 0x1p-120f ? 127.0f / max : 0.0f;
  if (!finite) {
    std::memset(q, 0, 32);
    return d;
  }
  for (int i = 0; i < 32; ++i)
    q[i] = static_cast<std::int8_t>(static_cast<std::int32_t>(__builtin_rintf(x[i] * inverse)));
  return d;
}

inline int sum16(const std::int8_t* q) noexcept {
  int s = 0;
  for (int i = 0; i < 16; ++i) s += q[i];
  return s;
}

}  // namespace

void quantize_row(const float* x, std::int64_t cols, const ActRow& act) {
  const std::int64_t pad = (256 - cols % 256) % 256;
  std::memset(act.q + cols, 0, static_cast<std::size_t>(pad));
  std::memset(act.offset4 + cols / 4, 0, static_cast<std::size_t>(pad));
  std::memset(act.d + cols / 32, 0, static_cast<std::size_t>(pad / 8));
  std::memset(act.sum32 + cols / 32, 0, static_cast<std::size_t>(pad / 8));
  std::memset(act.sum16 + cols / 16, 0, static_cast<std::size_t>(pad / 4));
  for (std::int64_t b = 0; b < cols / 32; ++b) {
    std::int8_t* q = act.q + b * 32;
    const float d = round32(x + b * 32, q);
    const int s0 = sum16(q), s1 = sum16(q + 16);
    act.d[b] = d;
    act.sum16[2 * b] = d * static_cast<float>(s0);
    act.sum16[2 * b + 1] = d * static_cast<float>(s1);
    act.sum32[b] = d * static_cast<float>(s0 + s1);
    for (int i = 0; i < 8; ++i) act.offset4[b * 8 + i] = -128 * (q[4 * i] + q[4 * i + 1] + q[4 * i + 2] + q[4 * i + 3]);
  }
}

void quantize_group(const float* const* x, int tokens, std::int64_t cols, ActBlock* acts) {
  for (std::int64_t b = 0; b < cols / 32; ++b) {
    ActBlock& block = acts[b];
    if (tokens < kIntTokens) std::memset(&block, 0, sizeof block);
    for (int t = 0; t < tokens; ++t) {
      alignas(64) std::int8_t q[32];
      const float d = round32(x[t] + b * 32, q);
      for (int i = 0; i < 8; ++i) std::memcpy(block.q[i][t], q + 4 * i, 4);
      const int s0 = sum16(q), s1 = sum16(q + 16);
      block.d[t] = d;
      block.offset32[t] = -128 * (s0 + s1);
      block.sum32[t] = d * static_cast<float>(s0 + s1);
      block.offset16[0][t] = -128 * s0;
      block.offset16[1][t] = -128 * s1;
      block.sum16[0][t] = d * static_cast<float>(s0);
      block.sum16[1][t] = d * static_cast<float>(s1);
    }
  }
}

}  // namespace mtmd::cpu::ISA
