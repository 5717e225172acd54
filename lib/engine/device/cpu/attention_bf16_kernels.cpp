// Tiles of attention in bf16. Compiled for instruction sets with products of bf16.
#include "engine/device/cpu/attention_bf16.h"
#include "engine/device/cpu/bf16_block.h"
#include "engine/device/cpu/vec_math.h"

namespace mtmd::cpu::ISA {

extern const Bf16Attention bf16_attention;

namespace {

static_assert(kBf16QueryBlock == kBlockRows && kBf16KeyBlock % kBlockDepth == 0);

constexpr std::int64_t kKeys = kBf16KeyBlock;
constexpr float kLowest = -__builtin_inff(), kLog2E = 1.44269504f;

inline __mmask16 first_lanes(std::int64_t n) noexcept {
  return static_cast<__mmask16>(n >= 16 ? 0xffff : n <= 0 ? 0 : (1u << n) - 1);
}

void pack_query(std::uint16_t* packed, int parts, std::int64_t r, const float* q, std::int64_t d, float scale) {
  const std::int64_t values = Bf16Attention::query_values(d);
  for (std::int64_t k = 0; k < d; k += kBlockDepth) {
    Values row = load_f32(q + k, first_of_32(d - k));
    row.low *= scale, row.high *= scale;
    for (int part = 0; part < parts; ++part)
      _mm512_storeu_si512(packed + part * values + (k * kBlockRows + r * kBlockDepth), row.take_part());
  }
}

void pack_keys(std::uint16_t* packed, int parts, const float* rows, std::int64_t stride, std::int64_t n,
               std::int64_t d) {
  const std::int64_t values = Bf16Attention::key_values(d), panel = Bf16Attention::padded(d) * 32;
  for (std::int64_t j = 0; j < kKeys; j += 16) {
    std::uint16_t* to = packed + j / 32 * panel + j % 32 / 16 * kHalfValues;
    for (std::int64_t k = 0; k < d; k += kBlockDepth, to += 2 * kHalfValues)
      pack_half(parts, values, to,
                [&](int i) { return load_f32(rows + (j + i) * stride + k, j + i < n ? first_of_32(d - k) : 0); });
  }
}

void pack_values(std::uint16_t* packed, int parts, const float* rows, std::int64_t stride, std::int64_t n,
                 std::int64_t d) {
  const std::int64_t values = Bf16Attention::key_values(d);
  alignas(64) std::uint16_t order[32];
  for (int i = 0; i < 32; ++i) order[i] = static_cast<std::uint16_t>(i / 2 + i % 2 * 16);
  const __m512i alternate = _mm512_load_si512(order);
  for (std::int64_t c = 0; c < Bf16Attention::padded(d); c += 16) {
    std::uint16_t* to = packed + c / 32 * kKeys * 32 + c % 32 / 16 * kHalfValues;
    const __mmask16 lanes = first_lanes(d - c);
    for (std::int64_t j = 0; j < kKeys; j += 2) {
      __m512 even = _mm512_maskz_loadu_ps(j < n ? lanes : 0, rows + j * stride + c);
      __m512 odd = _mm512_maskz_loadu_ps(j + 1 < n ? lanes : 0, rows + (j + 1) * stride + c);
      for (int part = 0; part < parts; ++part) {
        const __m512i both = to_bf16(even, odd);
        _mm512_storeu_si512(to + part * values + j / 32 * 2 * kHalfValues + j % 32 / 2 * 32,
                            _mm512_permutexvar_epi16(alternate, both));
        even = remainder(even, low_half(both)), odd = remainder(odd, high_half(both));
      }
    }
  }
}

/// 2^t, relative error within 8e-5 where the result is rounded to bf16 anyway, else 1e-7; 0 for -inf.
template <bool kFine>
inline __m512 power_of_two(__m512 t) noexcept {
  const __m512 f = _mm512_reduce_ps(t, 0x09);  // t - floor(t)
  __m512 p;
  if (kFine) {
    p = splat(0.0018775766f);
    p = p * f + 0.0089893406f;
    p = p * f + 0.0558263175f;
    p = p * f + 0.2401536107f;
    p = p * f + 0.6931530833f;
    p = p * f + 0.99999994f;
  } else {
    p = splat(0.0780245215f);
    p = p * f + 0.2260671854f;
    p = p * f + 0.6958335042f;
    p = p * f + 0.9999251962f;
  }
  return _mm512_scalef_ps(p, t);
}

/// -inf in the lanes of keys that the row does not see; `at`: the first lane's key.
inline __m512 hide(__m512 s, std::int64_t at, Visible seen) noexcept {
  const auto lanes = static_cast<__mmask16>(first_lanes(seen.end - at) & ~first_lanes(seen.begin - at));
  return _mm512_mask_mov_ps(splat(kLowest), lanes, s);
}

/// Turns scores [first, last) of one row (multiples of 32) into weights e^(s - m) in `parts` parts; returns the factor
/// for what was summed before.
template <int kParts>
float softmax_row(float* s, std::uint16_t* p, Visible seen, std::int64_t first, std::int64_t last, float softcap,
                  float* m, float* l) noexcept {
  const bool all = seen.begin <= first && seen.end >= last;
  Vec top = splat(kLowest);
  for (std::int64_t j = first; j < last; j += 16) {
    Vec v = load(s + j);
    if (softcap > 0.0f) v = softcap * tanh(v / softcap);
    if (!all) v = hide(v, j, seen);
    if (!all || softcap > 0.0f) store(s + j, v);
    top = max(v, top);
  }
  const float highest_now = highest(top), now = highest_now > *m ? highest_now : *m;
  // With nothing but -inf so far any finite reference will do: every weight is zero.
  const float reference = now == kLowest ? 0.0f : now;
  const Vec offset = splat(-reference * kLog2E);
  Vec total0{}, total1{};
  for (std::int64_t j = first; j < last; j += 32) {
    Vec low = power_of_two<kParts == 2>(load(s + j) * kLog2E + offset);
    Vec high = power_of_two<kParts == 2>(load(s + j + 16) * kLog2E + offset);
    total0 += low, total1 += high;
    const __m512i part = to_bf16(low, high);
    _mm512_storeu_si512(p + j, part);
    if (kParts == 2)
      _mm512_storeu_si512(p + kBf16QueryBlock * kKeys + j,
                          to_bf16(remainder(low, low_half(part)), remainder(high, high_half(part))));
  }
  const float before = *m;
  float lanes[16];
  store(lanes, power_of_two<true>(splat(before == kLowest ? kLowest : (before - reference) * kLog2E)));
  const float alpha = before == now ? 1.0f : lanes[0];
  *m = now;
  *l = *l * alpha + sum(total0 + total1);
  return alpha;
}

inline void scale_row(float* o, float factor, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; i += 16) store(o + i, load(o + i) * factor);
}

template <int kParts>
void run_tile(const Bf16Tile& t) noexcept {
  const std::int64_t first = t.first / 32 * 32, last = (t.last + 31) / 32 * 32;
  const std::int64_t depth = Bf16Attention::padded(t.key_dim), values = (t.value_dim + 15) / 16 * 16;
  const std::int64_t q_part = Bf16Attention::query_values(t.key_dim), k_part = Bf16Attention::key_values(t.key_dim),
                     v_part = Bf16Attention::key_values(t.value_dim), p_part = kBf16QueryBlock * kKeys;
  begin_blocks();
  for (std::int64_t j = first; j < last; j += 32)
    for (int i = 0; i < 2 * kParts - 1; ++i)  // first x first, first x second, second x first
      multiply_block<kBlockDepth>(t.s + j, kKeys, {t.q + i / 2 * q_part, 2 * kHalfValues},
                                  t.k + i % 2 * k_part + j * depth, depth / 32, t.rows, 32, i > 0, [] {});
  for (std::int64_t r = 0; r < t.rows; ++r) {
    const float alpha =
        softmax_row<kParts>(t.s + r * kKeys, t.p + r * kKeys, t.visible[r], first, last, t.softcap, t.m + r, t.l + r);
    if (alpha != 1.0f) scale_row(t.o + r * values, alpha, values);
  }
  for (std::int64_t c = 0; c < values; c += 32)
    for (int i = 0; i < 2 * kParts - 1; ++i)
      multiply_block<kKeys>(t.o + c, values, {t.p + i / 2 * p_part + first, kBlockDepth},
                            t.v + i % 2 * v_part + (c / 32 * kKeys + first) * 32, (last - first) / 32, t.rows,
                            values - c, true, [] {});
  end_blocks();
}

void tile(const Bf16Tile& t) { t.parts == 1 ? run_tile<1>(t) : run_tile<2>(t); }

}  // namespace

#if defined(MTMD_ISA_amx)
constexpr int kMostParts = 2;
#else
constexpr int kMostParts = 1;
#endif
const Bf16Attention bf16_attention = {kMostParts, pack_query, pack_keys, pack_values, tile};

}  // namespace mtmd::cpu::ISA
