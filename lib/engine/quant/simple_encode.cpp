// Blocks of 32 values with one half-precision scale (and, in the _1 formats, one offset), rounded to nearest.
#include "engine/quant/formats.h"

namespace mtmd::quant::ISA {
namespace {

constexpr int kBlock = 32;

/// Truncated towards zero into [low, high]; a NaN becomes `low`.
int clamped(float x, int low, int high) {
  if (!(x > static_cast<float>(low))) return low;
  return x < static_cast<float>(high) ? static_cast<int>(x) : high;
}

/// The value of largest magnitude, sign included (the first of equals).
float extreme(const float* x, int n) {
  float best = 0, magnitude = 0;
  for (int i = 0; i < n; ++i)
    if (__builtin_fabsf(x[i]) > magnitude) {
      magnitude = __builtin_fabsf(x[i]);
      best = x[i];
    }
  return best;
}

float inverse(float d) { return d != 0 ? 1.0f / d : 0.0f; }

/// Value j: low nibble of byte j; value j + 16: its high nibble.
void store_nibbles(const int* q, std::byte* out) {
  for (int j = 0; j < 16; ++j) out[j] = static_cast<std::byte>((q[j] & 15) | (q[j + 16] & 15) << 4);
}

void store_fifth_bits(const int* q, std::byte* out) {
  std::uint32_t bits = 0;
  for (int j = 0; j < kBlock; ++j) bits |= static_cast<std::uint32_t>(q[j] >> 4 & 1) << j;
  store(out, bits);
}

/// Symmetric formats, 2^Bits levels around zero: the largest magnitude lands on -2^(Bits-1).
template <int Bits>
void round_symmetric(const float* x, float& d, int* q) {
  constexpr int half = 1 << (Bits - 1);
  d = extreme(x, kBlock) / -half;
  const float id = inverse(d);
  for (int j = 0; j < kBlock; ++j) q[j] = clamped(x[j] * id + (half + 0.5f), 0, 2 * half - 1);
}

/// Formats with an offset: 2^Bits levels from the smallest to the largest value.
template <int Bits>
void round_with_offset(const float* x, float& d, float& m, int* q) {
  constexpr int top = (1 << Bits) - 1;
  float high = x[0];
  m = x[0];
  for (int j = 1; j < kBlock; ++j) {
    m = x[j] < m ? x[j] : m;
    high = x[j] > high ? x[j] : high;
  }
  d = (high - m) / top;
  const float id = inverse(d);
  for (int j = 0; j < kBlock; ++j) q[j] = clamped((x[j] - m) * id + 0.5f, 0, top);
}

/// Round half away from zero; the magnitude is at most 127 unless the input is not finite.
int nearest(float x) { return clamped(x < 0 ? x - 0.5f : x + 0.5f, -127, 127); }

}  // namespace

void encode_q4_0(const float* x, std::byte* b, std::int64_t n, const float*, Effort) {
  for (; n > 0; n -= kBlock, b += 18, x += kBlock) {
    float d;
    int q[kBlock];
    round_symmetric<4>(x, d, q);
    store(b, narrowed(d));
    store_nibbles(q, b + 2);
  }
}

void encode_q4_1(const float* x, std::byte* b, std::int64_t n, const float*, Effort) {
  for (; n > 0; n -= kBlock, b += 20, x += kBlock) {
    float d, m;
    int q[kBlock];
    round_with_offset<4>(x, d, m, q);
    store(b, narrowed(d));
    store(b + 2, narrowed(m));
    store_nibbles(q, b + 4);
  }
}

void encode_q5_0(const float* x, std::byte* b, std::int64_t n, const float*, Effort) {
  for (; n > 0; n -= kBlock, b += 22, x += kBlock) {
    float d;
    int q[kBlock];
    round_symmetric<5>(x, d, q);
    store(b, narrowed(d));
    store_fifth_bits(q, b + 2);
    store_nibbles(q, b + 6);
  }
}

void encode_q5_1(const float* x, std::byte* b, std::int64_t n, const float*, Effort) {
  for (; n > 0; n -= kBlock, b += 24, x += kBlock) {
    float d, m;
    int q[kBlock];
    round_with_offset<5>(x, d, m, q);
    store(b, narrowed(d));
    store(b + 2, narrowed(m));
    store_fifth_bits(q, b + 4);
    store_nibbles(q, b + 8);
  }
}

void encode_q8_0(const float* x, std::byte* b, std::int64_t n, const float*, Effort) {
  for (; n > 0; n -= kBlock, b += 34, x += kBlock) {
    const float d = __builtin_fabsf(extreme(x, kBlock)) / 127, id = inverse(d);
    store(b, narrowed(d));
    for (int j = 0; j < kBlock; ++j) b[2 + j] = static_cast<std::byte>(nearest(x[j] * id));
  }
}

}  // namespace mtmd::quant::ISA
