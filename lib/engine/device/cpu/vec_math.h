// Elementary functions on a register of floats. Relative error at most about 2 units in the last place unless said
// otherwise; NaN in, NaN out. The polynomials are our own Chebyshev fits.
#pragma once

#include "engine/device/cpu/vec.h"

namespace mtmd::cpu::ISA {
namespace {

/// e^x = 2^n e^r with n whole and |r| <= ln(2) / 2: gives e^r and n, as a float and as an integer.
struct ExpParts {
  Vec p, n;
  IVec whole;
};
MTMD_INLINE ExpParts exp_parts(Vec x) {
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest whole number in the low bits
  const Vec t = x * 1.44269504f + kRounder;
  const Vec n = t - kRounder;
  const Vec r = (x - n * 0.693145752f) - n * 1.42860677e-6f;  // ln 2 in two parts, n times the first is exact
  Vec p = splat(0.0013933822f);
  p = p * r + 0.00836329535f;
  p = p * r + 0.041666463f;
  p = p * r + 0.166665763f;
  p = p * r + 0.5f;
  return {(p * r) * r + r + 1.0f, n, bits(t) - bits(splat(kRounder))};
}

/// Results below the smallest normal number come out as subnormals or 0, above the largest as infinity.
MTMD_INLINE Vec exp(Vec x) {
  const Vec inside = min(splat(89.0f), max(splat(-104.0f), x));  // keeps a NaN: both give the second when unordered
  const ExpParts e = exp_parts(inside);
#if defined(MTMD_ISA_avx512)
  return _mm512_scalef_ps(e.p, e.n);
#else
  const IVec half = e.whole >> 1;  // two steps, as 2^128 and 2^-140 are no floats of their own
  return e.p * from_bits((half + 127) << 23) * from_bits((e.whole - half + 127) << 23);
#endif
}

/// For x <= 0 only, and 0 below -87.
MTMD_INLINE Vec exp_of_negative(Vec x) {
#if defined(MTMD_ISA_avx512)
  const ExpParts e = exp_parts(x);
  const __mmask16 seen = _mm512_cmp_ps_mask(x, splat(-87.0f), _CMP_NLT_UQ);  // a NaN, too
  return _mm512_maskz_scalef_ps(seen, e.p, e.n);
#else
  const ExpParts e = exp_parts(max(splat(-87.0f), x));
  const Vec y = e.p * from_bits((e.whole + 127) << 23);
  return x < splat(-87.0f) ? Vec{} : y;
#endif
}

MTMD_INLINE Vec tanh(Vec x) {
  const Vec a = abs(x), z = x * x;
  Vec p = splat(0.0022726059f);
  p = p * z - 0.0083262939f;
  p = p * z + 0.0217635892f;
  p = p * z - 0.0539586172f;
  p = p * z + 0.133333012f;
  p = p * z - 0.333333343f;
  const Vec near = x + x * (z * p);  // |x| < 0.63
  const Vec far = 1.0f - 2.0f / (exp(a + a) + 1.0f);
  const Vec signed_far = from_bits(bits(far) | (bits(x) & static_cast<std::int32_t>(0x80000000)));
  return a < splat(0.63f) ? near : signed_far;
}

/// erfc(z) for z >= 0, relative error within 1e-6 down to the subnormals.
MTMD_INLINE Vec erfc_of_positive(Vec z) {
  z = min(splat(11.0f), z);                 // 0 from 10.1 on; squares stay finite
  const Vec t = 1.0f / (1.0f + 0.35f * z);  // e^(z z) erfc(z) / t is a smooth function of t
  Vec q = splat(0.0374839157f);
  q = q * t - 0.154321283f;
  q = q * t + 0.171608105f;
  q = q * t - 0.0160231125f;
  q = q * t + 0.0786522925f;
  q = q * t + 0.149728045f;
  q = q * t + 0.150219798f;
  q = q * t + 0.188036978f;
  q = q * t + 0.197131678f;
  q = q * t + 0.197483599f;
  // z z needs more digits than a float has: square the upper half of z exactly and treat the small rest by itself.
  const Vec high = from_bits(bits(z) & static_cast<std::int32_t>(0xfffff000));
  const Vec rest = (z - high) * (z + high);  // below z z / 1024, at most 0.1 where the result is not zero
  const Vec exp_rest = 1.0f - rest * (1.0f - rest * (0.5f - rest * (1.0f / 6.0f - rest * (1.0f / 24.0f))));
  return t * q * exp(-(high * high)) * exp_rest;
}

MTMD_INLINE Vec identity(Vec x) { return x; }
MTMD_INLINE Vec relu(Vec x) { return max(Vec{}, x); }
MTMD_INLINE Vec relu_squared(Vec x) { return relu(x) * relu(x); }
MTMD_INLINE Vec silu(Vec x) { return x / (1.0f + exp(-x)); }
/// x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), written as x / (1 + e^(-2u)), which does not cancel.
MTMD_INLINE Vec gelu_tanh(Vec x) {
  const Vec minus_2u = x * (x * x * -0.0713548163f - 1.59576912f);
  return x / (1.0f + exp(minus_2u));
}
MTMD_INLINE Vec gelu_erf(Vec x) {
  const Vec half = 0.5f * erfc_of_positive(abs(x) * 0.707106781f);
  const Vec part = x < Vec{} ? half : 1.0f - half;
  return x * part;
}
MTMD_INLINE Vec gelu_quick(Vec x) { return x / (1.0f + exp(x * -1.702f)); }
MTMD_INLINE Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }
MTMD_INLINE Vec swiglu_clamped(Vec x) { return gelu_quick(min(splat(7.0f), x)); }
/// What an activation does to the other factor of a gate.
MTMD_INLINE Vec swiglu_clamped_up(Vec x) { return min(splat(7.0f), max(splat(-7.0f), x)) + 1.0f; }

}  // namespace
}  // namespace mtmd::cpu::ISA
