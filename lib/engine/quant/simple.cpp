// Blocks of 32 values with one half-precision scale (and, in the _1 formats, one offset), rounded to nearest.
#include <algorithm>
#include <array>
#include <cmath>

#include "engine/quant/formats.h"

namespace mtmd::quant {
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
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      best = x[i];
    }
  return best;
}

float inverse(float d) { return d != 0 ? 1.0f / d : 0.0f; }

/// Value j: low nibble of byte j; value j + 16: its high nibble.
void store_nibbles(const std::array<int, kBlock>& q, std::byte* out) {
  for (int j = 0; j < 16; ++j) out[j] = static_cast<std::byte>((q[j] & 15) | (q[j + 16] & 15) << 4);
}

std::array<int, kBlock> load_nibbles(const std::byte* in) {
  std::array<int, kBlock> q;
  for (int j = 0; j < 16; ++j) {
    q[j] = u8(in[j]) & 15;
    q[j + 16] = u8(in[j]) >> 4;
  }
  return q;
}

void store_fifth_bits(const std::array<int, kBlock>& q, std::byte* out) {
  std::uint32_t bits = 0;
  for (int j = 0; j < kBlock; ++j) bits |= static_cast<std::uint32_t>(q[j] >> 4 & 1) << j;
  store(out, bits);
}

std::array<int, kBlock> load_five_bits(const std::byte* fifth, const std::byte* nibbles) {
  std::array<int, kBlock> q = load_nibbles(nibbles);
  const auto bits = load<std::uint32_t>(fifth);
  for (int j = 0; j < kBlock; ++j) q[j] |= static_cast<int>(bits >> j & 1u) << 4;
  return q;
}

/// Symmetric formats, 2^Bits levels around zero: the largest magnitude lands on -2^(Bits-1).
template <int Bits>
std::array<int, kBlock> round_symmetric(const float* x, float& d) {
  constexpr int half = 1 << (Bits - 1);
  d = extreme(x, kBlock) / -half;
  const float id = inverse(d);
  std::array<int, kBlock> q;
  for (int j = 0; j < kBlock; ++j) q[j] = clamped(x[j] * id + (half + 0.5f), 0, 2 * half - 1);
  return q;
}

/// Formats with an offset: 2^Bits levels from the smallest to the largest value.
template <int Bits>
std::array<int, kBlock> round_with_offset(const float* x, float& d, float& m) {
  constexpr int top = (1 << Bits) - 1;
  const auto [low, high] = std::minmax_element(x, x + kBlock);
  m = *low;
  d = (*high - m) / top;
  const float id = inverse(d);
  std::array<int, kBlock> q;
  for (int j = 0; j < kBlock; ++j) q[j] = clamped((x[j] - m) * id + 0.5f, 0, top);
  return q;
}

}  // namespace

void decode_q4_0(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 18, y += kBlock) {
    const float d = load_f16(b);
    const auto q = load_nibbles(b + 2);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(q[j] - 8) * d;
  }
}

void encode_q4_0(const float* x, std::byte* b, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 18, x += kBlock) {
    float d;
    const auto q = round_symmetric<4>(x, d);
    store(b, f32_to_f16(d));
    store_nibbles(q, b + 2);
  }
}

void decode_q4_1(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 20, y += kBlock) {
    const float d = load_f16(b), m = load_f16(b + 2);
    const auto q = load_nibbles(b + 4);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(q[j]) * d + m;
  }
}

void encode_q4_1(const float* x, std::byte* b, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 20, x += kBlock) {
    float d, m;
    const auto q = round_with_offset<4>(x, d, m);
    store(b, f32_to_f16(d));
    store(b + 2, f32_to_f16(m));
    store_nibbles(q, b + 4);
  }
}

void decode_q5_0(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 22, y += kBlock) {
    const float d = load_f16(b);
    const auto q = load_five_bits(b + 2, b + 6);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(q[j] - 16) * d;
  }
}

void encode_q5_0(const float* x, std::byte* b, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 22, x += kBlock) {
    float d;
    const auto q = round_symmetric<5>(x, d);
    store(b, f32_to_f16(d));
    store_fifth_bits(q, b + 2);
    store_nibbles(q, b + 6);
  }
}

void decode_q5_1(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 24, y += kBlock) {
    const float d = load_f16(b), m = load_f16(b + 2);
    const auto q = load_five_bits(b + 4, b + 8);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(q[j]) * d + m;
  }
}

void encode_q5_1(const float* x, std::byte* b, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 24, x += kBlock) {
    float d, m;
    const auto q = round_with_offset<5>(x, d, m);
    store(b, f32_to_f16(d));
    store(b + 2, f32_to_f16(m));
    store_fifth_bits(q, b + 4);
    store_nibbles(q, b + 8);
  }
}

void decode_q8_0(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 34, y += kBlock) {
    const float d = load_f16(b);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(i8(b[2 + j])) * d;
  }
}

namespace {

/// Round half away from zero; the magnitude is at most 127 unless the input is not finite.
int nearest(float x) { return clamped(x < 0 ? x - 0.5f : x + 0.5f, -127, 127); }

}  // namespace

void encode_q8_0(const float* x, std::byte* b, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 34, x += kBlock) {
    const float d = std::fabs(extreme(x, kBlock)) / 127, id = inverse(d);
    store(b, f32_to_f16(d));
    for (int j = 0; j < kBlock; ++j) b[2 + j] = static_cast<std::byte>(nearest(x[j] * id));
  }
}

// Q8_1 and Q8_K exist only as the right-hand side of integer matrix products.

void decode_q8_1(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 36, y += kBlock) {
    const float d = load_f16(b);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(i8(b[4 + j])) * d;
  }
}

void encode_q8_1(const float* x, std::byte* b, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 36, x += kBlock) {
    const float d = std::fabs(extreme(x, kBlock)) / 127, id = inverse(d);
    int sum = 0;
    for (int j = 0; j < kBlock; ++j) {
      const int q = nearest(x[j] * id);
      sum += q;
      b[4 + j] = static_cast<std::byte>(q);
    }
    store(b, f32_to_f16(d));
    store(b + 2, f32_to_f16(static_cast<float>(sum) * d));
  }
}

void decode_q8_k(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= 256, b += 292, y += 256) {
    const float d = load<float>(b);
    for (int j = 0; j < 256; ++j) y[j] = static_cast<float>(i8(b[4 + j])) * d;
  }
}

void encode_q8_k(const float* x, std::byte* b, std::int64_t n) {
  for (; n > 0; n -= 256, b += 292, x += 256) {
    // The largest magnitude becomes -127, so d carries the opposite of its sign.
    const float id = -127 * inverse(extreme(x, 256));
    store(b, inverse(id));
    for (int g = 0; g < 16; ++g) {
      int sum = 0;
      for (int j = 16 * g; j < 16 * g + 16; ++j) {
        const int q = clamped(std::nearbyint(x[j] * id), -127, 127);
        sum += q;
        b[4 + j] = static_cast<std::byte>(q);
      }
      store(b + 260 + 2 * g, static_cast<std::int16_t>(sum));
    }
  }
}

}  // namespace mtmd::quant
