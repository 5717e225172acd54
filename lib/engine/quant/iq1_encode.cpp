// IQ1_S and IQ1_M: three levels, shifted up or down by one eighth. A sorted sub-block splits in three at the best two
// places, exactly; then its runs of eight are taken to the codebook.
#include "engine/quant/formats.h"
#include "engine/quant/iq1_split.h"

namespace mtmd::quant::ISA {
namespace {

constexpr int kBlock = 256;

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

/// What was chosen for a sub-block of N values.
template <int N>
struct Choice {
  float scale;
  int shifts;
  std::uint16_t index[N / 8];
};

/// Levels of run k.
template <int N>
MTMD_INLINE const float* levels_of(int shifts, int k) {
  if (N == 16) return (shifts >> (1 - k) & 1) ? kDown : kUp;
  return shifts ? kDown : kUp;
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
    const float* q = levels_of<N>(c.shifts, k);
    Floats16 levels;
    for (int i = 0; i < kWide; ++i) levels[i] = q[i % 4 < 3 ? i % 4 : 2];
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

/// An IQ1_M block behind its indices: the words of scales, and the common scale that fits all values best.
void finish_iq1_m(const GridTable& table, const float* x, const float* weight, const Choice<16>* c, float d,
                  std::byte* out) {
  const float inverse = 1 / d;
  std::uint16_t words[4] = {};
  float sum_qx = 0, sum_q2 = 0;
  for (int g = 0; g < 16; ++g) {
    const int s = clamped_int(0.5f * (inverse * c[g].scale - 1), 0, 7);
    words[g / 4] = static_cast<std::uint16_t>(words[g / 4] | s << 3 * (g % 4));
    for (int i = 0; i < 16; ++i) {
      const unsigned code = table.codes[c[g].index[i / 8]];
      const float q = levels_of<16>(c[g].shifts, i / 8)[code >> 2 * (i % 8) & 3u] * static_cast<float>(2 * s + 1);
      sum_qx += weight[16 * g + i] * q * x[16 * g + i];
      sum_q2 += weight[16 * g + i] * q * q;
    }
  }
  if (sum_q2 > 0) d = sum_qx / sum_q2;
  const unsigned half = narrowed(d * 1.1125f);
  for (int k = 0; k < 4; ++k)
    store(out + 48 + 2 * k, static_cast<std::uint16_t>(words[k] | (half >> 4 * k & 15u) << 12));
}

}  // namespace

void encode_iq1_s(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort) {
  const GridTable& table = grid_table(Codebook::iq1);
  float weight[kBlock + kWide] = {}, values[kBlock + kWide] = {};
  Choice<32> c[8] = {};
  for (; n > 0; n -= kBlock, x += kBlock, b += 50) {
    std::memset(b, 0, 50);
    set_weights(x, importance, true, weight);
    std::memcpy(values, x, kBlock * sizeof(float));
    float largest = 0;
    for (int g = 0; g < 8; ++g) {
      c[g] = largest_magnitude<32>(x + 32 * g) < 1e-12f ? Choice<32>{}
                                                        : choose<32>(table, values + 32 * g, weight + 32 * g);
      largest = c[g].scale > largest ? c[g].scale : largest;
    }
    if (importance) importance += kBlock;
    if (!(largest > 0)) continue;
    const float d = largest / 15, inverse = 1 / d;
    store(b, narrowed(d * 1.125f));
    for (int g = 0; g < 8; ++g) {
      const int s = clamped_int(0.5f * (inverse * c[g].scale - 1), 0, 7);
      unsigned word = static_cast<unsigned>(s | c[g].shifts << 3) << 12;
      for (int r = 0; r < 4; ++r) {
        b[2 + 4 * g + r] = static_cast<std::byte>(c[g].index[r] & 255u);
        word |= static_cast<unsigned>(c[g].index[r] >> 8) << 3 * r;
      }
      store(b + 34 + 2 * g, static_cast<std::uint16_t>(word));
    }
  }
}

void encode_iq1_m(const float* x, std::byte* b, std::int64_t n, const float* importance, Effort) {
  const GridTable& table = grid_table(Codebook::iq1);
  float weight[kBlock + kWide] = {}, values[kBlock + kWide] = {};
  Choice<16> c[16] = {};
  for (; n > 0; n -= kBlock, x += kBlock, b += 56) {
    std::memset(b, 0, 56);
    set_weights(x, importance, false, weight);
    std::memcpy(values, x, kBlock * sizeof(float));
    float largest = 0;
    for (int g = 0; g < 16; ++g) {
      c[g] = largest_magnitude<16>(x + 16 * g) < 1e-7f ? Choice<16>{}
                                                       : choose<16>(table, values + 16 * g, weight + 16 * g);
      largest = c[g].scale > largest ? c[g].scale : largest;
    }
    if (importance) importance += kBlock;
    if (!(largest > 0)) continue;
    for (int g = 0; g < 16; ++g) {
      for (int k = 0; k < 2; ++k) b[2 * g + k] = static_cast<std::byte>(c[g].index[k] & 255u);
      const int shifts = (c[g].shifts >> 1 & 1) << 3 | (c[g].shifts & 1) << 7;
      b[32 + g] = static_cast<std::byte>(c[g].index[0] >> 8 | c[g].index[1] >> 8 << 4 | shifts);
    }
    finish_iq1_m(table, x, weight, c, largest / 15, b);
  }
}

}  // namespace mtmd::quant::ISA
