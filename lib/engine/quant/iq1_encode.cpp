// IQ1_S and IQ1_M: three levels, shifted up or down by one eighth. A sorted sub-block splits in three at the best two
// places, exactly; then its runs of eight are taken to the codebook.
#include "engine/quant/formats.h"
#include "engine/quant/iq1_improve.h"

namespace mtmd::quant::ISA {
namespace {

MTMD_INLINE float energy_of(const float* x) {
  float sum = 0;
  for (int i = 0; i < kBlock; ++i) sum += x[i] * x[i];
  return 2 * sum / kBlock;
}

template <int N>
MTMD_INLINE float largest_magnitude(const float* x) {
  float m = __builtin_fabsf(x[0]);
  for (int i = 1; i < N; ++i) m = __builtin_fabsf(x[i]) > m ? __builtin_fabsf(x[i]) : m;
  return m;
}

/// Takes runs that are not in the codebook to it; the scale follows.
template <int N>
MTMD_INLINE void take_to_grid(const GridTable& table, const float* x, const float* weight, const unsigned* patterns,
                              Choice<N>& c) {
  bool all_found = true;
  unsigned codes[N / 8];
  for (int k = 0; k < N / 8; ++k) {
    const std::uint32_t entry = table.entries[patterns[k]];
    codes[k] = patterns[k];
    c.index[k] = static_cast<std::uint16_t>(entry & 0xffffu);
    if (entry & GridTable::kOnGrid) continue;
    all_found = false;
    const Floats16 levels = spread_levels(levels_of<N>(c.shifts, k));
    const std::uint16_t* list = table.lists + static_cast<std::size_t>(entry >> 8) * GridTable::kListUnit;
    codes[k] = list[smallest_sum<8>(list, static_cast<int>(entry & 255u),
                                    error_terms<8>(spread<8>(x + 8 * k), spread<8>(weight + 8 * k), levels, c.scale))];
    c.index[k] = static_cast<std::uint16_t>(table.entries[codes[k]] & 0xffffu);
  }
  if (all_found) return;
  float sum_qx = 0, sum_q2 = 0;
  for (int i = 0; i < N; ++i) {
    const float q = levels_of<N>(c.shifts, i / 8)[codes[i / 8] >> 2 * (i % 8) & 3u];
    sum_qx += weight[i] * q * x[i];
    sum_q2 += weight[i] * q * q;
  }
  if (sum_qx > 0 && sum_q2 > 0) c.scale = sum_qx / sum_q2;
}

template <int N>
Choice<N> choose(const GridTable& table, const float* x, const float* weight) {
  std::int32_t ranks[N];
  rank<N>(x, ranks);
  int order[N] = {};  // NaNs have no ranks of their own
  for (int i = 0; i < N; ++i) order[ranks[i]] = i;
  Split split = N == 32 ? best_split<Sums32>(x, weight, order) : best_split<Sums16>(x, weight, order);
  Choice<N> c = {};
  if (!(split.score > -__builtin_inff())) return c;  // no weight at all
  unsigned patterns[N / 8] = {};
  for (int i = 0; i < N; ++i) {
    const unsigned level = static_cast<unsigned>((ranks[i] >= split.first) + (ranks[i] >= split.second));
    patterns[i / 8] |= (split.scale < 0 ? 2 - level : level) << 2 * (i % 8);
  }
  if (split.scale < 0) {
    split.scale = -split.scale;
    split.shifts ^= N == 32 ? 1 : 3;
  }
  c.scale = split.scale;
  c.shifts = split.shifts;
  take_to_grid<N>(table, x, weight, patterns, c);
  return c;
}

MTMD_INLINE void set_weights(const float* x, const float* importance, bool needed, float* weight) {
  const float energy = energy_of(x);
  for (int i = 0; i < kBlock; ++i) {
    const float w = __builtin_sqrtf(energy + x[i] * x[i]);
    weight[i] = importance ? importance[i] * w : needed ? w : x[i] * x[i];
  }
}

void write_iq1_s(const Choice<32>* c, const int* s, float d, std::byte* out) {
  store(out, narrowed(d));
  for (int g = 0; g < 8; ++g) {
    unsigned word = static_cast<unsigned>(s[g] | c[g].shifts << 3) << 12;
    for (int r = 0; r < 4; ++r) {
      out[2 + 4 * g + r] = static_cast<std::byte>(c[g].index[r] & 255u);
      word |= static_cast<unsigned>(c[g].index[r] >> 8) << 3 * r;
    }
    store(out + 34 + 2 * g, static_cast<std::uint16_t>(word));
  }
}

void write_iq1_m(const Choice<16>* c, const int* s, float d, std::byte* out) {
  const unsigned half = narrowed(d);
  unsigned words[4];
  for (int k = 0; k < 4; ++k) words[k] = (half >> 4 * k & 15u) << 12;
  for (int g = 0; g < 16; ++g) {
    for (int k = 0; k < 2; ++k) out[2 * g + k] = static_cast<std::byte>(c[g].index[k] & 255u);
    const int shifts = (c[g].shifts >> 1 & 1) << 3 | (c[g].shifts & 1) << 7;
    out[32 + g] = static_cast<std::byte>(c[g].index[0] >> 8 | c[g].index[1] >> 8 << 4 | shifts);
    words[g / 4] |= static_cast<unsigned>(s[g]) << 3 * (g % 4);
  }
  for (int k = 0; k < 4; ++k) store(out + 48 + 2 * k, static_cast<std::uint16_t>(words[k]));
}

/// Scale numbers in terms of d.
template <int N>
MTMD_INLINE void round_scales(const Choice<N>* c, float d, int* s) {
  const float inverse = 1 / d;
  for (int g = 0; g < kBlock / N; ++g) s[g] = clamped_int(0.5f * (inverse * c[g].scale - 1), 0, 7);
}

/// IQ1_M: the block scale that fits all values best.
float fit_all(const GridTable& table, const float* x, const float* weight, const Choice<16>* c, const int* s, float d) {
  float sum_qx = 0, sum_q2 = 0;
  for (int i = 0; i < kBlock; ++i) {
    const int g = i / 16, k = i / 8 % 2;
    const unsigned code = table.codes[c[g].index[k]];
    const float q = levels_of<16>(c[g].shifts, k)[code >> 2 * (i % 8) & 3u] * static_cast<float>(2 * s[g] + 1);
    sum_qx += weight[i] * q * x[i];
    sum_q2 += weight[i] * q * q;
  }
  return sum_q2 > 0 ? sum_qx / sum_q2 : d;
}

/// Chooses for all sub-blocks of a block below which no value counts; -> the largest scale.
template <int N>
float choose_all(const GridTable& table, const float* x, const float* weight, float tiny, Choice<N>* c) {
  float largest = 0;
  for (int g = 0; g < kBlock / N; ++g) {
    c[g] = largest_magnitude<N>(x + N * g) < tiny ? Choice<N>{} : choose<N>(table, x + N * g, weight + N * g);
    largest = c[g].scale > largest ? c[g].scale : largest;
  }
  return largest;
}

}  // namespace

void encode_iq1_s(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort) {
  const GridTable& table = grid_table(Codebook::iq1);
  float weight[kBlock + kWide] = {}, values[kBlock + kWide] = {};
  for (; n > 0; n -= kBlock, x += kBlock, b += 50) {
    set_weights(x, importance, true, weight);
    std::memcpy(values, x, kBlock * sizeof(float));
    Choice<32> c[8];
    int s[8];
    std::memset(b, 0, 50);
    const float largest = choose_all<32>(table, values, weight, 1e-12f, c), d = largest / 15;
    if (largest > 0) {
      round_scales(c, d, s);
      write_iq1_s(c, s, d * 1.125f, b);
      if (effort == Effort::best) improve_block<32, 50>(table, x, importance, d * 1.125f, decode_iq1_s, write_iq1_s, b);
    }
    if (importance) importance += kBlock;
  }
}

void encode_iq1_m(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort) {
  const GridTable& table = grid_table(Codebook::iq1);
  float weight[kBlock + kWide] = {}, values[kBlock + kWide] = {};
  for (; n > 0; n -= kBlock, x += kBlock, b += 56) {
    set_weights(x, importance, false, weight);
    std::memcpy(values, x, kBlock * sizeof(float));
    Choice<16> c[16];
    int s[16];
    std::memset(b, 0, 56);
    const float largest = choose_all<16>(table, values, weight, 1e-7f, c);
    if (largest > 0) {
      round_scales(c, largest / 15, s);
      const float d = fit_all(table, x, weight, c, s, largest / 15) * 1.1125f;
      write_iq1_m(c, s, d, b);
      if (effort == Effort::best) improve_block<16, 56>(table, x, importance, d, decode_iq1_m, write_iq1_m, b);
    }
    if (importance) importance += kBlock;
  }
}

}  // namespace mtmd::quant::ISA
