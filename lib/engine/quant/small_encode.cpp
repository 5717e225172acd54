// Formats of one scale and few levels: ternary TQ1_0 and TQ2_0, Q1_0, Q2_0, and the e2m1 floats of MXFP4 and NVFP4.
#include "engine/quant/formats.h"
#include "engine/quant/improve.h"
#include "engine/quant/k_layout.h"

namespace mtmd::quant::ISA {
namespace {

float largest(const float* x, int n) {
  float top = 0;
  for (int i = 0; i < n; ++i) top = __builtin_fabsf(x[i]) > top ? __builtin_fabsf(x[i]) : top;
  return top;
}

float inverse_of(float d) { return d != 0 ? 1.0f / d : 0.0f; }

/// -1, 0, 1 become 0, 1, 2: nearest multiple of d, the largest magnitude.
float ternary_levels(const float* x, int n, std::uint8_t* q) {
  const float d = largest(x, n), inverse = inverse_of(d);
  for (int i = 0; i < n; ++i) q[i] = static_cast<std::uint8_t>(rounded(x[i] * inverse) + 1);
  return d;
}

/// `digits` planes of `n` base-3 digits become n bytes. A byte holds the number made of the digits (a zero after four)
/// as a fraction of 243, rounded up, so that multiplying by 3 brings the next digit to the top.
void write_digits(const std::uint8_t* q, int n, int digits, std::byte* out) {
  for (int j = 0; j < n; ++j) {
    int number = 0;
    for (int k = 0; k < digits; ++k) number = 3 * number + q[n * k + j];
    if (digits == 4) number *= 3;
    out[j] = static_cast<std::byte>((number * 256 + 242) / 243);
  }
}

/// The code (sign, 2 exponent, 1 mantissa bits) of the e2m1 number whose multiple of the scale is nearest; `half` is
/// half of the scale.
void e2m1_levels(const float* x, int n, float half, std::uint8_t* q) {
  constexpr float twice[8] = {0, 1, 2, 3, 4, 6, 8, 12};
  for (int i = 0; i < n; ++i) {
    const float size = __builtin_fabsf(x[i]);
    float least = size;
    int code = 0;
    for (int k = 1; k < 8; ++k) {
      const float error = __builtin_fabsf(twice[k] * half - size);
      code = error < least ? k : code;
      least = error < least ? error : least;
    }
    q[i] = static_cast<std::uint8_t>(code != 0 && x[i] < 0 ? code + 8 : code);
  }
}

/// Low nibbles first, then high ones.
void write_halves(const std::uint8_t* q, int half, std::byte* out) {
  for (int j = 0; j < half; ++j) out[j] = static_cast<std::byte>(q[j] | q[j + half] << 4);
}

/// The power of two that brings `top` to 4 … 8, biased; wraps around below 2^-125 as in the reference quantiser.
int e8m0_of(float top) {
  if (!(top > 0) || !(top <= 3.4028235e38f)) return 0;
  return (static_cast<int>(__builtin_floorf(__builtin_log2f(top))) + 125) & 255;
}

/// The nearest unsigned e4m3 number (bias 7; halves go up), at most 448.
int e4m3_of(float v) {
  if (!(v > 0)) return 0;
  if (v < 0x1p-6f) {  // multiples of 2^-9
    const int mantissa = static_cast<int>(v * 512 + 0.5f);
    return mantissa > 7 ? 7 : mantissa;
  }
  const int code = static_cast<int>((__builtin_bit_cast(std::uint32_t, v) + (1u << 19)) >> 20) - ((127 - 7) << 3);
  return code > 0x7e ? 0x7e : code;
}

struct Tq1 {
  static constexpr int kValues = 256, kBytes = 54, kHigh = 1;
  static void decode(const std::byte* b, float* y, std::int64_t n) { decode_tq1_0(b, y, n); }
  static void write(float d, const std::uint8_t* q, std::byte* b) {
    write_digits(q, 32, 5, b);
    write_digits(q + 160, 16, 5, b + 32);
    write_digits(q + 240, 4, 4, b + 48);
    store(b + 52, narrowed(d));
  }
};

struct Tq2 {
  static constexpr int kValues = 256, kBytes = 66, kHigh = 1;
  static void decode(const std::byte* b, float* y, std::int64_t n) { decode_tq2_0(b, y, n); }
  static void write(float d, const std::uint8_t* q, std::byte* b) {
    write_two_bit_planes(q, b);
    store(b + 64, narrowed(d));
  }
};

struct Two {
  static constexpr int kValues = 64, kBytes = 18, kHigh = 2;  // the standard search leaves 2 unused
  static void decode(const std::byte* b, float* y, std::int64_t n) { decode_q2_0(b, y, n); }
  static void write(float d, const std::uint8_t* q, std::byte* b) {
    store(b, narrowed(d));
    for (int j = 0; j < 16; ++j)
      b[2 + j] = static_cast<std::byte>(q[4 * j] | q[4 * j + 1] << 2 | q[4 * j + 2] << 4 | q[4 * j + 3] << 6);
  }
};

/// A smaller scale than the largest magnitude errs less on most blocks: a group of them, one per lane.
template <class Layout>
void improve_ternary(const float* x, int n_blocks, std::byte* blocks) {
  constexpr int n = Layout::kValues;
  Floats lanes[n], w[n];
  transpose<n>(x, 0, n_blocks, lanes);
  error_weights<n>(nullptr, n_blocks, w);
  const Floats start = half_rounded(magnitude(extreme<n>(lanes)));
  const Floats scale = improve_scale<n, -1, Layout::kHigh, Layout::kHigh == 2>(lanes, w, start, 1, 4.5f, 0.125f);
  for (int k = 0; k < n_blocks; ++k) {
    const float inverse = inverse_of(scale[k]);
    std::uint8_t q[n];
    std::byte candidate[Layout::kBytes];
    for (int i = 0; i < n; ++i)
      q[i] = static_cast<std::uint8_t>(nearest_wrapped(x[n * k + i] * inverse, -1, Layout::kHigh) + 1);
    Layout::write(scale[k], q, candidate);
    keep_better<Layout::kBytes>(Layout::decode, candidate, x + n * k, nullptr, n, blocks + Layout::kBytes * k);
  }
}

template <class Layout>
void encode_ternary(const float* x, std::byte* b, std::int64_t n, Effort effort) {
  const std::int64_t n_blocks = n / Layout::kValues;
  for (std::int64_t k = 0; k < n_blocks; ++k) {
    std::uint8_t q[Layout::kValues];
    const float d = ternary_levels(x + Layout::kValues * k, Layout::kValues, q);
    Layout::write(d, q, b + Layout::kBytes * k);
  }
  if (effort != Effort::best) return;
  for (std::int64_t k = 0; k < n_blocks; k += kLanes)
    improve_ternary<Layout>(x + Layout::kValues * k, n_blocks - k < kLanes ? static_cast<int>(n_blocks - k) : kLanes,
                            b + Layout::kBytes * k);
}

/// One run of n values with the scale `half`: the levels, and their squared error.
double e2m1_error(const float* x, int n, float half, std::uint8_t* q) {
  constexpr float twice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  e2m1_levels(x, n, half, q);
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    const double diff = static_cast<double>(half * twice[q[i]]) - static_cast<double>(x[i]);
    sum += diff * diff;
  }
  return sum;
}

/// The scale code within [first, last] that errs least, or `code` where none is better; leaves its levels. `scale` is a
/// lambda: an inline function by its address would be emitted here (mtmd_isa_sources).
template <class Scale>
int best_code(const float* x, int n, int code, int first, int last, Scale scale, std::uint8_t* q) {
  double least = e2m1_error(x, n, scale(code), q);
  for (int other = first; other <= last; ++other) {
    std::uint8_t levels[32];
    const double error = e2m1_error(x, n, scale(other), levels);
    if (!(error < least * 0.999999)) continue;
    least = error;
    code = other;
    for (int i = 0; i < n; ++i) q[i] = levels[i];
  }
  return code;
}

}  // namespace

void encode_tq1_0(const float* x, std::byte* b, std::int64_t n, const float*, Effort effort) {
  encode_ternary<Tq1>(x, b, n, effort);
}

void encode_tq2_0(const float* x, std::byte* b, std::int64_t n, const float*, Effort effort) {
  encode_ternary<Tq2>(x, b, n, effort);
}

void encode_q2_0(const float* x, std::byte* b, std::int64_t n, const float*, Effort effort) {
  encode_ternary<Two>(x, b, n, effort);
}

/// The mean magnitude is already what errs least: there is nothing to search for.
void encode_q1_0(const float* x, std::byte* b, std::int64_t n, const float*, Effort) {
  for (; n > 0; n -= 128, x += 128, b += 18) {
    float sum = 0;
    for (int i = 0; i < 128; ++i) sum += __builtin_fabsf(x[i]);
    store(b, narrowed(sum / 128));
    for (int j = 0; j < 16; ++j) {
      int bits = 0;
      for (int k = 0; k < 8; ++k) bits |= (x[8 * j + k] >= 0) << k;
      b[2 + j] = static_cast<std::byte>(bits);
    }
  }
}

void encode_mxfp4(const float* x, std::byte* b, std::int64_t n, const float*, Effort effort) {
  for (; n > 0; n -= 32, x += 32, b += 17) {
    std::uint8_t q[32];
    int e = e8m0_of(largest(x, 32));
    if (effort == Effort::best) {
      const int first = e > 2 ? e - 2 : 0, last = e < 253 ? e + 1 : 254;
      e = best_code(
          x, 32, e, first, last, [](int c) { return half_e8m0(c); }, q);
    } else {
      e2m1_levels(x, 32, half_e8m0(e), q);
    }
    b[0] = static_cast<std::byte>(e);
    write_halves(q, 16, b + 1);
  }
}

void encode_nvfp4(const float* x, std::byte* b, std::int64_t n, const float*, Effort effort) {
  for (; n > 0; n -= 64, x += 64, b += 36)
    for (int g = 0; g < 4; ++g) {
      std::uint8_t q[16];
      const float* v = x + 16 * g;
      int scale = e4m3_of(largest(v, 16) / 6);
      if (effort == Effort::best) {
        const int first = scale > 8 ? scale - 8 : 0, last = scale < 0x7e - 8 ? scale + 8 : 0x7e;
        scale = best_code(
            v, 16, scale, first, last, [](int c) { return half_e4m3(c); }, q);
      } else {
        e2m1_levels(v, 16, half_e4m3(scale), q);
      }
      b[g] = static_cast<std::byte>(scale);
      write_halves(q, 8, b + 4 + 8 * g);
    }
}

}  // namespace mtmd::quant::ISA
