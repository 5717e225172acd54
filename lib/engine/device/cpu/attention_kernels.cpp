// Tiles of attention. Compiled per instruction set.
#include "engine/device/cpu/attention_kernels.h"

#include "engine/device/cpu/attention_f16.h"
#include "engine/device/cpu/vec_math.h"

namespace mtmd::cpu::ISA {

extern const AttentionKernels attention_kernels;

namespace {

/// Rows of the micro-kernel: with two registers of columns it fills the register file (32 or 16 registers).
#if defined(MTMD_ISA_avx512)
constexpr int kRows = 12;
#else
constexpr int kRows = 6;
#endif
constexpr int kPanel = 2 * kLanes;
constexpr float kLowest = -__builtin_inff();
static_assert(kQueryBlock % kRows == 0 && kKeyBlock % kPanel == 0);

/// c [kRows, kVecs registers] = (alpha c or 0) + a b. a(i, k) lies at a[i * row_step + k * k_step]: both steps are
/// constants, so that they become displacements; b: [n_k] rows of kVecs registers.
template <int kVecs, std::int64_t kRowStep, std::int64_t kStep>
MTMD_INLINE void micro_kernel(float* c, std::int64_t c_stride, const float* a, const float* b, std::int64_t n_k,
                              const float* alpha) {
  Vec acc[kRows][kVecs];
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < kVecs; ++j) acc[i][j] = alpha ? alpha[i] * load(c + i * c_stride + j * kLanes) : Vec{};
  for (std::int64_t k = 0; k < n_k; ++k, a += kStep, b += kVecs * kLanes) {
    Vec right[kVecs];
#pragma GCC unroll 2
    for (int j = 0; j < kVecs; ++j) right[j] = load(b + j * kLanes);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const Vec left = splat(a[i * kRowStep]);
#pragma GCC unroll 2
      for (int j = 0; j < kVecs; ++j) acc[i][j] += left * right[j];
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < kVecs; ++j) store(c + i * c_stride + j * kLanes, acc[i][j]);
}

void pack_keys(float* packed, const float* rows, std::int64_t stride, std::int64_t n, std::int64_t d) {
  using Four = float __attribute__((vector_size(16), aligned(4), may_alias));
  for (std::int64_t panel = 0; panel < kKeyBlock; panel += kPanel, packed += kPanel * d) {
    for (std::int64_t j = 0; j < kPanel; j += 4) {
      std::int64_t k = 0;
      if (panel + j + 4 <= n) {
        const float* from = rows + (panel + j) * stride;
        for (; k + 4 <= d; k += 4) {  // 4 x 4 values change sides
          const Four r0 = *reinterpret_cast<const Four*>(from + k),
                     r1 = *reinterpret_cast<const Four*>(from + stride + k);
          const Four r2 = *reinterpret_cast<const Four*>(from + 2 * stride + k);
          const Four r3 = *reinterpret_cast<const Four*>(from + 3 * stride + k);
          const Four a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), b = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
          const Four c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7), e = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
          float* to = packed + k * kPanel + j;
          *reinterpret_cast<Four*>(to) = __builtin_shufflevector(a, b, 0, 1, 4, 5);
          *reinterpret_cast<Four*>(to + kPanel) = __builtin_shufflevector(a, b, 2, 3, 6, 7);
          *reinterpret_cast<Four*>(to + 2 * kPanel) = __builtin_shufflevector(c, e, 0, 1, 4, 5);
          *reinterpret_cast<Four*>(to + 3 * kPanel) = __builtin_shufflevector(c, e, 2, 3, 6, 7);
        }
      }
      for (; k < d; ++k)
        for (std::int64_t i = panel + j; i < panel + j + 4; ++i)
          packed[k * kPanel + i - panel] = i < n ? rows[i * stride + k] : 0.0f;
    }
  }
}

void pack_values(float* packed, const float* rows, std::int64_t stride, std::int64_t n, std::int64_t d) {
  for (std::int64_t c = 0; c < d; c += kPanel) {
    const std::int64_t width = d - c > kLanes ? kPanel : kLanes;
    for (std::int64_t j = 0; j < kKeyBlock; ++j) {
      for (std::int64_t i = 0; i < width; i += kLanes, packed += kLanes) {
        const std::int64_t left = j < n ? d - c - i : 0;
        const float* from = rows + j * stride + c + i;
        store(packed, left >= kLanes ? load(from) : left > 0 ? load_part(from, left) : Vec{});
      }
    }
  }
}

void pack_query(float* packed, std::int64_t r, const float* q, std::int64_t d, float scale) {
  float* to = packed + r / kRows * kRows * d + r % kRows;
  for (std::int64_t k = 0; k < d; ++k) to[k * kRows] = q ? q[k] * scale : 0.0f;
}

void scores(float* s, const float* q_packed, const float* k_packed, std::int64_t rows, std::int64_t first,
            std::int64_t last, std::int64_t d) {
  for (std::int64_t panel = first / kPanel * kPanel; panel < last; panel += kPanel)
    for (std::int64_t r = 0; r < rows; r += kRows)
      micro_kernel<2, 1, kRows>(s + r * kKeyBlock + panel, kKeyBlock, q_packed + r * d, k_packed + panel * d, d,
                                nullptr);
}

void accumulate(float* o, const float* s, const float* v_packed, const float* alpha, std::int64_t rows,
                std::int64_t first, std::int64_t last, std::int64_t padded_d) {
  for (std::int64_t c = 0; c < padded_d; c += kPanel) {
    const std::int64_t width = padded_d - c >= kPanel ? kPanel : kLanes;
    const float* v = v_packed + c * kKeyBlock + first * width;
    for (std::int64_t r = 0; r < rows; r += kRows) {
      float* to = o + r * padded_d + c;
      const float* p = s + r * kKeyBlock + first;
      if (width == kPanel)
        micro_kernel<2, kKeyBlock, 1>(to, padded_d, p, v, last - first, alpha + r);
      else
        micro_kernel<1, kKeyBlock, 1>(to, padded_d, p, v, last - first, alpha + r);
    }
  }
}

MTMD_INLINE void cap_row(float* s, std::int64_t n, float softcap) {
  std::int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) store(s + j, softcap * tanh(load(s + j) / softcap));
  if (j < n) store_part(s + j, softcap * tanh(load_part(s + j, n - j) / softcap), n - j);
}

MTMD_INLINE float highest_of(const float* s, std::int64_t n) {
  Vec top = splat(kLowest);
  std::int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) top = max(load(s + j), top);
  if (j < n) top = max(load_part(s + j, n - j, kLowest), top);
  return highest(top);
}

/// s = e^(s - m); their sum. m is a number.
MTMD_INLINE float exponentiate(float* s, std::int64_t n, float m) {
  Vec total{};
  std::int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    const Vec p = exp_of_negative(load(s + j) - m);
    store(s + j, p);
    total += p;
  }
  if (j < n) {
    const Vec p = exp_of_negative(load_part(s + j, n - j, kLowest) - m);
    store_part(s + j, p, n - j);
    total += p;
  }
  return sum(total);
}

MTMD_INLINE float exp_scalar(float x) {
  float lanes[kLanes];
  store(lanes, exp_of_negative(splat(x)));
  return lanes[0];
}

void softmax(float* s, const Visible* visible, std::int64_t rows, std::int64_t first, std::int64_t last, float softcap,
             float* m, float* l, float* alpha) {
  for (std::int64_t r = 0; r < rows; ++r, s += kKeyBlock) {
    const std::int64_t begin = visible[r].begin > first ? visible[r].begin : first;
    const std::int64_t end = visible[r].end < last ? visible[r].end : last;
    alpha[r] = 1.0f;
    if (begin >= end) {
      for (std::int64_t j = first; j < last; ++j) s[j] = 0.0f;
      continue;
    }
    for (std::int64_t j = first; j < begin; ++j) s[j] = 0.0f;
    for (std::int64_t j = end; j < last; ++j) s[j] = 0.0f;
    if (softcap > 0.0f) cap_row(s + begin, end - begin, softcap);
    const float top = highest_of(s + begin, end - begin);
    const float now = top > m[r] ? top : m[r];
    // With nothing but -inf so far any finite reference will do: every weight is zero.
    const float reference = now == kLowest ? 0.0f : now;
    alpha[r] = m[r] == kLowest ? 0.0f : exp_scalar(m[r] - reference);
    m[r] = now;
    l[r] = l[r] * alpha[r] + exponentiate(s + begin, end - begin, reference);
  }
}

float softmax_row(float* s, std::int64_t n, float softcap, float* m) {
  if (softcap > 0.0f) cap_row(s, n, softcap);
  *m = highest_of(s, n);
  return exponentiate(s, n, *m == kLowest ? 0.0f : *m);
}

void dots(float* s, const float* q, const float* k, std::int64_t stride, std::int64_t n, std::int64_t d, float scale) {
  std::int64_t j = 0;
  for (; j + 4 <= n; j += 4, k += 4 * stride) {  // four keys share each load of q
    Vec a{}, b{}, c{}, e{};
    std::int64_t i = 0;
    for (; i + kLanes <= d; i += kLanes) {
      const Vec v = load(q + i);
      a += v * load(k + i), b += v * load(k + stride + i);
      c += v * load(k + 2 * stride + i), e += v * load(k + 3 * stride + i);
    }
    if (i < d) {
      const Vec v = load_part(q + i, d - i);
      a += v * load_part(k + i, d - i), b += v * load_part(k + stride + i, d - i);
      c += v * load_part(k + 2 * stride + i, d - i), e += v * load_part(k + 3 * stride + i, d - i);
    }
    const Vec4 four = scale * sums(a, b, c, e);
    std::memcpy(s + j, &four, sizeof four);
  }
  for (; j < n; ++j, k += stride) {
    Vec a{};
    std::int64_t i = 0;
    for (; i + kLanes <= d; i += kLanes) a += load(q + i) * load(k + i);
    if (i < d) a += load_part(q + i, d - i) * load_part(k + i, d - i);
    s[j] = scale * sum(a);
  }
}

/// kVecs registers of columns at a time stay in registers over all rows.
template <int kVecs>
MTMD_INLINE void weighted_columns(float* o, const float* p, const float* v, std::int64_t stride, std::int64_t n) {
  Vec acc[kVecs] = {}, odd[kVecs] = {};
  std::int64_t j = 0;
  for (; j + 2 <= n; j += 2, v += 2 * stride) {
#pragma GCC unroll 4
    for (int i = 0; i < kVecs; ++i) {
      acc[i] += p[j] * load(v + i * kLanes);
      odd[i] += p[j + 1] * load(v + stride + i * kLanes);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kVecs; ++i) {
    if (j < n) acc[i] += p[j] * load(v + i * kLanes);
    store(o + i * kLanes, load(o + i * kLanes) + (acc[i] + odd[i]));
  }
}

void add_weighted(float* o, const float* p, const float* v, std::int64_t stride, std::int64_t n, std::int64_t d) {
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= d; i += 4 * kLanes) weighted_columns<4>(o + i, p, v + i, stride, n);
  for (; i + kLanes <= d; i += kLanes) weighted_columns<1>(o + i, p, v + i, stride, n);
  if (i == d) return;
  Vec acc = load_part(o + i, d - i);
  for (std::int64_t j = 0; j < n; ++j) acc += p[j] * load_part(v + j * stride + i, d - i);
  store_part(o + i, acc, d - i);
}

}  // namespace

const AttentionKernels attention_kernels = {kLanes,       pack_keys, pack_values,      pack_query,
                                            scores,       softmax,   accumulate,       dots,
                                            add_weighted, dots_f16,  add_weighted_f16, softmax_row};

}  // namespace mtmd::cpu::ISA
