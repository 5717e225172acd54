// Rows of f32: norms, activations, elementwise arithmetic, rotations, half precision. Compiled per instruction set.
#include "engine/device/cpu/op_kernels.h"

#include "engine/device/cpu/vec_math.h"
#include "engine/quant/quant.h"

namespace mtmd::cpu::ISA {

extern const AttentionKernels attention_kernels;
#if defined(MTMD_ISA_avx512)
extern const Bf16Attention bf16_attention;
constexpr const Bf16Attention* kBf16Attention = &bf16_attention;
#else
constexpr const Bf16Attention* kBf16Attention = nullptr;
#endif

namespace {

template <class F>
MTMD_INLINE void map(float* y, const float* x, std::int64_t n, F f) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(x + i)));
  if (i < n) store_part(y + i, f(load_part(x + i, n - i)), n - i);
}

template <class F>
MTMD_INLINE void map2(float* y, const float* a, const float* b, std::int64_t n, F f) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(a + i), load(b + i)));
  if (i < n) store_part(y + i, f(load_part(a + i, n - i), load_part(b + i, n - i)), n - i);
}

/// Sum of f(x_i). Four partial sums hide the latency of the additions and halve the rounding error twice.
template <class F>
MTMD_INLINE float sum_of(const float* x, std::int64_t n, F f) {
  Vec s0{}, s1{}, s2{}, s3{};
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    s0 += f(load(x + i)), s1 += f(load(x + i + kLanes));
    s2 += f(load(x + i + 2 * kLanes)), s3 += f(load(x + i + 3 * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) s0 += f(load(x + i));
  if (i < n) {
    float lanes[kLanes] = {};  // f of the lanes past the end must not count
    store_part(lanes, f(load_part(x + i, n - i)), n - i);
    s1 += load(lanes);
  }
  return sum((s0 + s1) + (s2 + s3));
}

void rms_norm(float* y, const float* x, const float* w, std::int64_t n, float eps) {
  const float squares = sum_of(x, n, [](Vec v) { return v * v; });
  const float factor = 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + eps);
  if (w)
    map2(y, x, w, n, [=](Vec v, Vec g) { return v * factor * g; });
  else
    map(y, x, n, [=](Vec v) { return v * factor; });
}

void layer_norm(float* y, const float* x, const float* w, const float* b, std::int64_t n, float eps) {
  const float mean = sum_of(x, n, [](Vec v) { return v; }) / static_cast<float>(n);
  const float squares = sum_of(x, n, [=](Vec v) { return (v - mean) * (v - mean); });
  const float factor = 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + eps);
  if (w)
    map2(y, x, w, n, [=](Vec v, Vec g) { return (v - mean) * factor * g; });
  else
    map(y, x, n, [=](Vec v) { return (v - mean) * factor; });
  if (b) map2(y, y, b, n, [](Vec v, Vec c) { return v + c; });
}

void add(float* y, const float* a, const float* b, std::int64_t n) {
  map2(y, a, b, n, [](Vec p, Vec q) { return p + q; });
}
void multiply(float* y, const float* a, const float* b, std::int64_t n) {
  map2(y, a, b, n, [](Vec p, Vec q) { return p * q; });
}
void scale(float* y, const float* x, float factor, std::int64_t n) {
  map(y, x, n, [=](Vec v) { return v * factor; });
}
void shift(float* y, const float* x, float by, std::int64_t n) {
  map(y, x, n, [=](Vec v) { return v + by; });
}
void scale_add(float* y, float keep, const float* x, float factor, std::int64_t n) {
  map2(y, y, x, n, [=](Vec v, Vec w) { return v * keep + w * factor; });
}
void clamp(float* y, const float* x, float low, float high, std::int64_t n) {
  map(y, x, n, [=](Vec v) { return min(splat(high), max(splat(low), v)); });
}
void softcap(float* y, const float* x, float cap, std::int64_t n) {
  map(y, x, n, [=](Vec v) { return cap * tanh(v / cap); });
}

// The list of activations, in the order of enum Activation.
#define MTMD_PLAIN_ACTIVATIONS(X) \
  X(identity) X(relu) X(relu_squared) X(silu) X(gelu_tanh) X(gelu_erf) X(gelu_quick) X(sigmoid)
#define MTMD_ACTIVATIONS(X) MTMD_PLAIN_ACTIVATIONS(X) X(swiglu_clamped)
#define MTMD_ACTIVATION_ROWS(name)                                             \
  void name##_row(float* y, const float* x, std::int64_t n) {                  \
    map(y, x, n, [](Vec v) { return name(v); });                               \
  }                                                                            \
  void name##_gate(float* y, const float* g, const float* u, std::int64_t n) { \
    map2(y, g, u, n, [](Vec v, Vec w) { return name(v) * w; });                \
  }
MTMD_PLAIN_ACTIVATIONS(MTMD_ACTIVATION_ROWS)

void swiglu_clamped_row(float* y, const float* x, std::int64_t n) {
  map(y, x, n, [](Vec v) { return swiglu_clamped(v); });
}
void swiglu_clamped_gate(float* y, const float* g, const float* u, std::int64_t n) {
  map2(y, g, u, n, [](Vec v, Vec w) { return swiglu_clamped(v) * swiglu_clamped_up(w); });
}

void rope_adjacent(float* x, std::int64_t n_heads, std::int64_t head_dim, const float* cos, const float* sin,
                   std::int64_t n_pairs) {
  for (std::int64_t h = 0; h < n_heads; ++h, x += head_dim) {
    for (std::int64_t i = 0; i < n_pairs; ++i) {
      const float a = x[2 * i], b = x[2 * i + 1];
      x[2 * i] = a * cos[i] - b * sin[i];
      x[2 * i + 1] = a * sin[i] + b * cos[i];
    }
  }
}

void rope_halves(float* x, std::int64_t n_heads, std::int64_t head_dim, const float* cos, const float* sin,
                 std::int64_t n_pairs) {
  for (std::int64_t h = 0; h < n_heads; ++h, x += head_dim) {
    std::int64_t i = 0;
    for (; i + kLanes <= n_pairs; i += kLanes) {
      const Vec a = load(x + i), b = load(x + n_pairs + i), c = load(cos + i), s = load(sin + i);
      store(x + i, a * c - b * s);
      store(x + n_pairs + i, a * s + b * c);
    }
    for (; i < n_pairs; ++i) {
      const float a = x[i], b = x[n_pairs + i];
      x[i] = a * cos[i] - b * sin[i];
      x[n_pairs + i] = a * sin[i] + b * cos[i];
    }
  }
}

void f16_to_f32(float* y, const std::uint16_t* x, std::int64_t n) {
  std::int64_t i = 0;
#if defined(MTMD_ISA_avx512)
  for (; i + 16 <= n; i += 16)
    _mm512_storeu_ps(y + i, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i))));
#elif defined(MTMD_ISA_avx2)
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i))));
#endif
  for (; i < n; ++i) y[i] = quant::f16_to_f32(x[i]);
}

void f32_to_f16(std::uint16_t* y, const float* x, std::int64_t n) {
  std::int64_t i = 0;
#if defined(MTMD_ISA_avx512) || defined(MTMD_ISA_avx2)
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
#endif
  for (; i < n; ++i) y[i] = quant::f32_to_f16(x[i]);
}

MTMD_INLINE float scale_of(const std::byte* block) {
  std::uint16_t half;
  std::memcpy(&half, block, sizeof half);
#if defined(MTMD_ISA_avx512) || defined(MTMD_ISA_avx2)
  return _cvtsh_ss(half);
#else
  return quant::f16_to_f32(half);
#endif
}

void q8_0_to_f32(float* y, const std::byte* row, std::int64_t first, std::int64_t n) {
  constexpr std::int64_t kBlock = 32, kBlockBytes = 34;  // an f16 scale and 32 signed bytes
  while (n > 0) {
    const std::byte* block = row + first / kBlock * kBlockBytes;
    const std::int64_t at = first % kBlock, count = kBlock - at < n ? kBlock - at : n;
    const float d = scale_of(block);
    const auto* q = reinterpret_cast<const signed char*>(block + 2) + at;
    if (count == kBlock) {
#if defined(MTMD_ISA_avx512)
      for (int i = 0; i < kBlock; i += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(q + i));
        _mm512_storeu_ps(y + i, d * _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
      }
#else
      for (int i = 0; i < kBlock; ++i) y[i] = d * static_cast<float>(q[i]);
#endif
    } else {
      for (std::int64_t i = 0; i < count; ++i) y[i] = d * static_cast<float>(q[i]);
    }
    y += count, first += count, n -= count;
  }
}

}  // namespace

extern const OpKernels op_kernels;
#define MTMD_ROW(name) name##_row,
#define MTMD_GATE(name) name##_gate,
const OpKernels op_kernels = {rms_norm,
                              layer_norm,
                              add,
                              multiply,
                              scale,
                              shift,
                              scale_add,
                              clamp,
                              softcap,
                              {MTMD_ACTIVATIONS(MTMD_ROW)},
                              {MTMD_ACTIVATIONS(MTMD_GATE)},
                              rope_adjacent,
                              rope_halves,
                              f16_to_f32,
                              f32_to_f16,
                              q8_0_to_f32,
                              &attention_kernels,
                              kBf16Attention};

}  // namespace mtmd::cpu::ISA
