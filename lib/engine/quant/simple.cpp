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
std::array<int, kBlock> load_nibbles(const std::byte* in) {
  std::array<int, kBlock> q;
  for (int j = 0; j < 16; ++j) {
    q[j] = u8(in[j]) & 15;
    q[j + 16] = u8(in[j]) >> 4;
  }
  return q;
}

/// The fifth bit of value j is bit j of a word.
std::array<int, kBlock> load_five_bits(const std::byte* fifth, const std::byte* nibbles) {
  std::array<int, kBlock> q = load_nibbles(nibbles);
  const auto bits = load<std::uint32_t>(fifth);
  for (int j = 0; j < kBlock; ++j) q[j] |= static_cast<int>(bits >> j & 1u) << 4;
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

void decode_q4_1(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 20, y += kBlock) {
    const float d = load_f16(b), m = load_f16(b + 2);
    const auto q = load_nibbles(b + 4);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(q[j]) * d + m;
  }
}

void decode_q5_0(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 22, y += kBlock) {
    const float d = load_f16(b);
    const auto q = load_five_bits(b + 2, b + 6);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(q[j] - 16) * d;
  }
}

void decode_q5_1(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 24, y += kBlock) {
    const float d = load_f16(b), m = load_f16(b + 2);
    const auto q = load_five_bits(b + 4, b + 8);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(q[j]) * d + m;
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

// Q8_1 and Q8_K exist only as the right-hand side of integer matrix products.

void decode_q8_1(const std::byte* b, float* y, std::int64_t n) {
  for (; n > 0; n -= kBlock, b += 36, y += kBlock) {
    const float d = load_f16(b);
    for (int j = 0; j < kBlock; ++j) y[j] = static_cast<float>(i8(b[4 + j])) * d;
  }
}

void encode_q8_1(const float* x, std::byte* b, std::int64_t n, const float*, Effort) {
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

void encode_q8_k(const float* x, std::byte* b, std::int64_t n, const float*, Effort) {
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
