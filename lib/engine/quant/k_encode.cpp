// Q2_K … Q6_K: super-blocks of 256 values with quantised scales per group of 16 or 32. First a scale (and offset) for
// every group, one group per lane; then levels for the scales, and with the scales that these stand for, of the values.
#include "engine/quant/formats.h"
#include "engine/quant/improve.h"
#include "engine/quant/k_layout.h"
#include "engine/quant/search.h"

namespace mtmd::quant::ISA {
namespace {

constexpr int kBatch = kLanes;  // super-blocks that are encoded together

/// Sums of squares of each super-block, added up in order.
void sums_of_squares(const float* x, int n_blocks, float* sums) {
  for (int b = 0; b < n_blocks; ++b) sums[b] = 0;
  int b = 0;
  for (; b + 4 <= n_blocks; b += 4) {  // four chains of additions at a time hide their latency
    const float* v = x + kSuper * b;
    float s[4] = {};
    for (int i = 0; i < kSuper; ++i)
      for (int k = 0; k < 4; ++k) s[k] += v[kSuper * k + i] * v[kSuper * k + i];
    for (int k = 0; k < 4; ++k) sums[b + k] = s[k];
  }
  for (; b < n_blocks; ++b)
    for (int i = 0; i < kSuper; ++i) sums[b] += x[kSuper * b + i] * x[kSuper * b + i];
}

/// importance * sqrt(sigma2 + x^2), sigma2 = factor * mean square of the super-block.
void weigh(const float* x, const float* importance, int n_blocks, float factor, float* w) {
  float sums[kBatch];
  sums_of_squares(x, n_blocks, sums);
  for (int b = 0; b < n_blocks; ++b) {
    const float sigma2 = factor * sums[b] / kSuper;
    for (int i = kSuper * b; i < kSuper * (b + 1); ++i) w[i] = importance[i] * __builtin_sqrtf(sigma2 + x[i] * x[i]);
  }
}

/// One number per group of every super-block in a batch; group g of super-block b at b * kGroups + g.
template <int kGroups>
struct PerGroup {
  float at[kBatch * kGroups];
  float* of(int block) { return at + block * kGroups; }
};

/// Group g of every super-block side by side.
template <int kGroups>
void across_blocks(PerGroup<kGroups>& values, int n_blocks, Floats* out) {
  for (int b = 0; b < kBatch; ++b)
    for (int g = 0; g < kGroups; ++g) out[g][b] = values.at[(b < n_blocks ? b : n_blocks - 1) * kGroups + g];
}

/// Scales in half precision and levels of a batch of super-blocks.
template <int kGroups>
struct ScaleLevels {
  float d[kBatch];
  std::int8_t level[kBatch][kGroups];
};

template <int kGroups>
void store_levels(Floats d, const Floats* level, int n_blocks, ScaleLevels<kGroups>& out) {
  for (int b = 0; b < n_blocks; ++b) {
    out.d[b] = d[b];
    for (int g = 0; g < kGroups; ++g) out.level[b][g] = static_cast<std::int8_t>(level[g][b]);
  }
}

/// Scales or minima of a batch, 0 … kTop: the largest gets kTop; with weights searched for.
template <int kGroups, int kTop>
void positive_levels(PerGroup<kGroups>& values, PerGroup<kGroups>* weights, int n_blocks, ScaleLevels<kGroups>& out) {
  Floats x[kGroups], level[kGroups], d;
  across_blocks(values, n_blocks, x);
  if (weights) {
    Floats w[kGroups];
    across_blocks(*weights, n_blocks, w);
    d = search_positive<kGroups, kTop>(x, w, level);
  } else {
    Floats top = {};
    for (int g = 0; g < kGroups; ++g) top = x[g] > top ? x[g] : top;
    const Floats inverse = top > 0 ? static_cast<float>(kTop) / top : Floats{};
    for (int g = 0; g < kGroups; ++g) level[g] = nearest_wrapped(inverse * x[g], 0, kTop);
    d = top / static_cast<float>(kTop);
  }
  store_levels(d, level, n_blocks, out);
}

/// level = nearest((x + min) / scale).
void levels_by_division(const float* x, int n, float scale, float min, int low, int high, std::uint8_t* q) {
  for (int i = 0; i < n; ++i) q[i] = static_cast<std::uint8_t>(nearest_wrapped((x[i] + min) / scale, low, high) - low);
}

/// level = nearest((x - offset) * inverse): those that the search found.
void levels_of_search(const float* x, int n, float inverse, float offset, int low, int high, std::uint8_t* q) {
  for (int i = 0; i < n; ++i)
    q[i] = static_cast<std::uint8_t>(nearest_wrapped(inverse * (x[i] - offset), low, high) - low);
}

float half_rounded(float d) { return widened(narrowed(d)); }

// --- Formats with minima: Q2_K, Q4_K, Q5_K ---

template <class Layout>
struct OffsetBatch {
  static constexpr int kGroups = Layout::kGroups, kSize = kSuper / kGroups, kTop = Layout::kTop;
  PerGroup<kGroups> scale, min, weight, inverse, low;
  ScaleLevels<kGroups> scales, mins;

  void search(const float* x, const float* w, int n_blocks);
  void write(const float* x, int b, std::byte* out);
};

template <class Layout>
void OffsetBatch<Layout>::search(const float* x, const float* w, int n_blocks) {
  const int n_groups = n_blocks * kGroups;
  for (int first = 0; first < n_groups; first += kLanes) {
    Floats lanes[kSize], weights[kSize];
    transpose<kSize>(x, first, n_groups, lanes);
    if (w) {
      transpose<kSize>(w, first, n_groups, weights);
    } else {
      Layout::template weights<kSize>(lanes, weights);
    }
    const Offset best = w ? search_offset<kSize, kTop>(lanes, weights, {-0.9f, 0.05f, 36})
                          : search_offset<kSize, kTop, Layout::kAbsolute>(lanes, weights, Layout::kSteps);
    scatter(best.scale, first, n_groups, scale.at);
    scatter(-best.offset, first, n_groups, min.at);
    scatter(best.weight, first, n_groups, weight.at);
    scatter(best.inverse, first, n_groups, inverse.at);
    scatter(best.low, first, n_groups, low.at);
  }
  positive_levels<kGroups, Layout::kScaleTop>(scale, w ? &weight : nullptr, n_blocks, scales);
  positive_levels<kGroups, Layout::kScaleTop>(min, w ? &weight : nullptr, n_blocks, mins);
}

template <class Layout>
void OffsetBatch<Layout>::write(const float* x, int b, std::byte* out) {
  const float d = half_rounded(scales.d[b]), dmin = half_rounded(mins.d[b]);
  std::uint8_t q[kSuper];
  for (int g = 0; g < kGroups; ++g) {
    const float s = d * static_cast<float>(scales.level[b][g]), m = dmin * static_cast<float>(mins.level[b][g]);
    const float* v = x + kSize * g;
    if (s != 0) {
      levels_by_division(v, kSize, s, m, 0, kTop, q + kSize * g);
    } else {
      levels_of_search(v, kSize, inverse.of(b)[g], low.of(b)[g], 0, kTop, q + kSize * g);
    }
  }
  Layout::write(scales.d[b], mins.d[b], scales.level[b], mins.level[b], q, out);
}

/// Lanes of a batch of scale levels, and back.
template <int kGroups>
void load_levels(const ScaleLevels<kGroups>& from, int n_blocks, Floats& d, Floats* level) {
  for (int lane = 0; lane < kBatch; ++lane) {
    const int b = lane < n_blocks ? lane : n_blocks - 1;
    d[lane] = half_rounded(from.d[b]);
    for (int g = 0; g < kGroups; ++g) level[g][lane] = static_cast<float>(from.level[b][g]);
  }
}

/// Weights of the error, one for each value: the importance, or 1.
void plain_weights(const float* importance, int n_blocks, float* w) {
  for (int i = 0; i < n_blocks * kSuper; ++i) w[i] = importance ? importance[i] : 1.0f;
}

/// Twice: from the scales of the standard search, and from those of one whose weights are those of the error.
template <class Layout>
void improve_with_minima(OffsetBatch<Layout>& batch, const float* x, const float* importance, int n_blocks,
                         std::byte* blocks) {
  SuperBlocks<Layout::kGroups, 0, Layout::kTop, 0, Layout::kScaleTop, Layout::kScaleTop> super;
  float weights[kBatch * kSuper];
  plain_weights(importance, n_blocks, weights);
  transpose<kSuper>(x, 0, n_blocks, super.x);
  transpose<kSuper>(weights, 0, n_blocks, super.w);
  for (int start = 0; start < 2; ++start) {
    if (start == 1) batch.search(x, weights, n_blocks);
    load_levels(batch.scales, n_blocks, super.d, super.s);
    load_levels(batch.mins, n_blocks, super.dmin, super.m);
    super.improve(Layout::kReach);
    store_levels(super.d, super.s, n_blocks, batch.scales);
    store_levels(super.dmin, super.m, n_blocks, batch.mins);
    for (int b = 0; b < n_blocks; ++b) {
      std::byte candidate[Layout::kBytes];
      const std::int64_t at = static_cast<std::int64_t>(b) * kSuper;
      batch.write(x + at, b, candidate);
      keep_better<Layout::kBytes>(Layout::decode, candidate, x + at, importance ? importance + at : nullptr, kSuper,
                                  blocks + b * Layout::kBytes);
    }
  }
}

template <class Layout>
void encode_with_minima(const float* x, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  OffsetBatch<Layout> batch;
  float weights[kBatch * kSuper];
  for (std::int64_t done = 0; done < n; done += kBatch * kSuper) {
    const std::int64_t left = (n - done) / kSuper;
    const int n_blocks = left < kBatch ? static_cast<int>(left) : kBatch;
    if (importance) weigh(x + done, importance + done, n_blocks, Layout::kSigma, weights);
    batch.search(x + done, importance ? weights : nullptr, n_blocks);
    for (int b = 0; b < n_blocks; ++b) batch.write(x + done + kSuper * b, b, blocks + b * Layout::kBytes);
    if (effort == Effort::best)
      improve_with_minima(batch, x + done, importance ? importance + done : nullptr, n_blocks, blocks);
    blocks += n_blocks * Layout::kBytes;
  }
}

struct Q2 : Q2Layout {
  static constexpr Steps kSteps = {-0.5f, 0.1f, 15};
  static constexpr bool kAbsolute = true;
  static constexpr float kSigma = 1;
  static constexpr int kReach = 3;
  static void decode(const std::byte* b, float* y, std::int64_t n) { decode_q2_k(b, y, n); }
  template <int kSize>
  static void weights(const Floats* x, Floats* w) {
    for (int i = 0; i < kSize; ++i) w[i] = magnitude(x[i]);
  }
};

struct FourOrFive {
  static constexpr bool kAbsolute = false;
  static constexpr float kSigma = 2;
  static constexpr int kReach = 2;
  /// |x| plus the root of the mean square.
  template <int kSize>
  static void weights(const Floats* x, Floats* w) {
    Floats sum = {};
    for (int i = 0; i < kSize; ++i) sum += x[i] * x[i];
    const Floats average = square_root(sum / static_cast<float>(kSize));
    for (int i = 0; i < kSize; ++i) w[i] = average + magnitude(x[i]);
  }
};

struct Q4 : Q4Layout, FourOrFive {
  static constexpr Steps kSteps = {-1.0f, 0.1f, 20};
  static void decode(const std::byte* b, float* y, std::int64_t n) { decode_q4_k(b, y, n); }
};

struct Q5 : Q5Layout, FourOrFive {
  static constexpr Steps kSteps = {-0.5f, 0.1f, 15};
  static void decode(const std::byte* b, float* y, std::int64_t n) { decode_q5_k(b, y, n); }
};

// --- Formats without: Q3_K, Q6_K ---

template <class Layout>
struct SymmetricBatch {
  static constexpr int kGroups = 16, kSize = 16, kHalf = Layout::kHalf;
  PerGroup<kGroups> scale, weight;
  std::uint8_t searched[kBatch * kSuper];  // the levels of the search, raised to start at 0
  ScaleLevels<kGroups> scales;

  void search(const float* x, const float* w, int n_blocks);
  void write(const float* x, int b, std::byte* out);
};

template <class Layout>
void SymmetricBatch<Layout>::search(const float* x, const float* w, int n_blocks) {
  const int n_groups = n_blocks * kGroups;
  for (int first = 0; first < n_groups; first += kLanes) {
    Floats lanes[kSize], weights[kSize], level[kSize], sum = {};
    transpose<kSize>(x, first, n_groups, lanes);
    if (w) transpose<kSize>(w, first, n_groups, weights);
    scatter(Layout::search(lanes, w ? weights : nullptr, level), first, n_groups, scale.at);
    for (int lane = 0; lane < kLanes && first + lane < n_groups; ++lane)
      for (int i = 0; i < kSize; ++i)
        searched[kSize * (first + lane) + i] = static_cast<std::uint8_t>(static_cast<int>(level[i][lane]) + kHalf);
    if (!w) continue;
    for (int i = 0; i < kSize; ++i) sum += weights[i];
    scatter(sum, first, n_groups, weight.at);
  }
  Floats s[kGroups], sums[kGroups], level[kGroups];
  across_blocks(scale, n_blocks, s);
  if (w) across_blocks(weight, n_blocks, sums);
  const Floats d = Layout::scale_levels(s, w ? sums : nullptr, level);
  store_levels(d, level, n_blocks, scales);
}

template <class Layout>
void SymmetricBatch<Layout>::write(const float* x, int b, std::byte* out) {
  const float d = half_rounded(scales.d[b]);
  std::uint8_t q[kSuper];
  for (int g = 0; g < kGroups; ++g) {
    const float s = d * static_cast<float>(scales.level[b][g]);
    const int at = kSize * g;
    if (s != 0) {
      levels_by_division(x + at, kSize, s, 0, -kHalf, kHalf - 1, q + at);
    } else {
      for (int i = 0; i < kSize; ++i) q[at + i] = searched[kSuper * b + at + i];
    }
  }
  Layout::write(scales.d[b], scales.level[b], q, out);
}

/// The scale of largest magnitude gets level -kHalf. Returns d.
template <int kHalf>
Floats levels_by_extreme(const Floats* s, Floats* level) {
  const Floats top = extreme<16>(s), inverse = static_cast<float>(-kHalf) / top;
  for (int g = 0; g < 16; ++g) level[g] = top == 0 ? all(-kHalf) : nearest_wrapped(inverse * s[g], -kHalf, kHalf - 1);
  return top == 0 ? Floats{} : 1.0f / inverse;
}

template <int N, int kHalf>
Floats symmetric_levels(const Floats* x, const Floats* w, Floats* level) {
  const Symmetric best = search_symmetric<N, kHalf>(x, w);
  for (int i = 0; i < N; ++i)
    level[i] = best.inverse == 0 ? all(-kHalf) : nearest(best.inverse * x[i], -kHalf, kHalf - 1);
  return best.scale;
}

struct Q3 : Q3Layout {
  static constexpr int kReach = 8;
  static void decode(const std::byte* b, float* y, std::int64_t n) { decode_q3_k(b, y, n); }
  static constexpr bool kSearchedWeights = true;  // importance * sqrt(sigma2 + x^2)
  static Floats search(const Floats* x, const Floats* w, Floats* level) {
    return w ? symmetric_levels<16, kHalf>(x, w, level) : search_refined<16, kHalf>(x, level);
  }
  static Floats scale_levels(const Floats* s, const Floats* w, Floats* level) {
    return w ? symmetric_levels<16, kScaleHalf>(s, w, level) : levels_by_extreme<kScaleHalf>(s, level);
  }
};

struct Q6 : Q6Layout {
  static constexpr int kReach = 4;
  static void decode(const std::byte* b, float* y, std::int64_t n) { decode_q6_k(b, y, n); }
  static constexpr bool kSearchedWeights = false;  // importance counts as it is
  static Floats search(const Floats* x, const Floats* w, Floats* level) {
    if (w) return symmetric_levels<16, kHalf>(x, w, level);
    Floats squares[16];
    for (int i = 0; i < 16; ++i) squares[i] = x[i] * x[i];
    return symmetric_levels<16, kHalf>(x, squares, level);
  }
  static Floats scale_levels(const Floats* s, const Floats*, Floats* level) {
    const Floats d = levels_by_extreme<128>(s, level);
    return magnitude(extreme<16>(s)) < kTooSmall ? Floats{} : d;
  }
  /// A block whose scales are all zero is all zeros: levels too.
  static void write(float d, const std::int8_t* s, std::uint8_t* q, std::byte* out) {
    if (d != 0) return Q6Layout::write(d, s, q, out);
    for (int i = 0; i < kBytes; ++i) out[i] = std::byte{0};
  }
};

template <class Layout>
void improve_symmetric(SymmetricBatch<Layout>& batch, const float* x, const float* importance, int n_blocks,
                       std::byte* blocks) {
  constexpr int half = Layout::kHalf, scale_half = Layout::kScaleHalf;
  SuperBlocks<16, -half, half - 1, -scale_half, scale_half - 1, 0> super;
  float weights[kBatch * kSuper];
  plain_weights(importance, n_blocks, weights);
  transpose<kSuper>(x, 0, n_blocks, super.x);
  transpose<kSuper>(weights, 0, n_blocks, super.w);
  for (int g = 0; g < 16; ++g) super.m[g] = Floats{};
  for (int start = 0; start < 2; ++start) {
    if (start == 1) batch.search(x, weights, n_blocks);
    load_levels(batch.scales, n_blocks, super.d, super.s);
    super.improve(Layout::kReach);
    store_levels(super.d, super.s, n_blocks, batch.scales);
    for (int b = 0; b < n_blocks; ++b) {
      std::byte candidate[Layout::kBytes];
      const std::int64_t at = static_cast<std::int64_t>(b) * kSuper;
      batch.write(x + at, b, candidate);
      keep_better<Layout::kBytes>(Layout::decode, candidate, x + at, importance ? importance + at : nullptr, kSuper,
                                  blocks + b * Layout::kBytes);
    }
  }
}

template <class Layout>
void encode_symmetric(const float* x, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  SymmetricBatch<Layout> batch;
  float weights[kBatch * kSuper];
  for (std::int64_t done = 0; done < n; done += kBatch * kSuper) {
    const std::int64_t left = (n - done) / kSuper;
    const int n_blocks = left < kBatch ? static_cast<int>(left) : kBatch;
    const float* w = importance ? importance + done : nullptr;
    if (w && Layout::kSearchedWeights) {
      weigh(x + done, w, n_blocks, 2, weights);
      w = weights;
    }
    batch.search(x + done, w, n_blocks);
    for (int b = 0; b < n_blocks; ++b) batch.write(x + done + kSuper * b, b, blocks + b * Layout::kBytes);
    if (effort == Effort::best)
      improve_symmetric(batch, x + done, importance ? importance + done : nullptr, n_blocks, blocks);
    blocks += n_blocks * Layout::kBytes;
  }
}

}  // namespace

void encode_q2_k(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  encode_with_minima<Q2>(values, blocks, n, importance, effort);
}

void encode_q3_k(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  encode_symmetric<Q3>(values, blocks, n, importance, effort);
}

void encode_q4_k(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  encode_with_minima<Q4>(values, blocks, n, importance, effort);
}

void encode_q5_k(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  encode_with_minima<Q5>(values, blocks, n, importance, effort);
}

void encode_q6_k(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  encode_symmetric<Q6>(values, blocks, n, importance, effort);
}

}  // namespace mtmd::quant::ISA
