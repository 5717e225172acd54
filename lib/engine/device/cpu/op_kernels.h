// What the ops outside the matrix products are made of: rows and tiles of f32, one table per instruction set.
// All pure arithmetic on valid pointers; outputs may equal inputs unless said otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mtmd::cpu {

struct AttentionKernels;  // attention_kernels.h
struct Bf16Attention;     // attention_bf16.h

struct OpKernels {
  static constexpr int kActivations = 9;  ///< in the order of enum Activation

  /// y = x / rms(x) * w; w: null for ones.
  void (*rms_norm)(float* y, const float* x, const float* w, std::int64_t n, float eps);
  /// y = (x - mean) / sqrt(var + eps) * w + b; w, b: null for ones, zeros.
  void (*layer_norm)(float* y, const float* x, const float* w, const float* b, std::int64_t n, float eps);
  void (*add)(float* y, const float* a, const float* b, std::int64_t n);
  void (*multiply)(float* y, const float* a, const float* b, std::int64_t n);
  void (*scale)(float* y, const float* x, float factor, std::int64_t n);
  void (*shift)(float* y, const float* x, float by, std::int64_t n);
  /// y = y * keep + x * factor
  void (*scale_add)(float* y, float keep, const float* x, float factor, std::int64_t n);
  void (*clamp)(float* y, const float* x, float low, float high, std::int64_t n);
  /// y = cap tanh(x / cap)
  void (*softcap)(float* y, const float* x, float cap, std::int64_t n);
  void (*activate[kActivations])(float* y, const float* x, std::int64_t n);
  /// y = act(g) * u
  void (*gate[kActivations])(float* y, const float* g, const float* u, std::int64_t n);
  /// Rotates the first 2 * n_pairs values of each head by the token's cos, sin [n_pairs].
  void (*rope_adjacent)(float* x, std::int64_t n_heads, std::int64_t head_dim, const float* cos, const float* sin,
                        std::int64_t n_pairs);
  void (*rope_halves)(float* x, std::int64_t n_heads, std::int64_t head_dim, const float* cos, const float* sin,
                      std::int64_t n_pairs);

  void (*f16_to_f32)(float* y, const std::uint16_t* x, std::int64_t n);
  /// Round to nearest even. x and y do not overlap.
  void (*f32_to_f16)(std::uint16_t* y, const float* x, std::int64_t n);
  /// Values [first, first + n) of a row of Q8_0 blocks.
  void (*q8_0_to_f32)(float* y, const std::byte* row, std::int64_t first, std::int64_t n);

  const AttentionKernels* attention;
  const Bf16Attention* bf16_attention;  ///< null where products of bf16 are no faster than those of f32
};

}  // namespace mtmd::cpu
