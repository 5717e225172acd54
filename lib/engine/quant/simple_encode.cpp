// Blocks of 32 values with one half-precision scale (and, in the _1 formats, one offset): rounded to nearest, or with
// importance searched for.
#include "engine/quant/formats.h"
#include "engine/quant/improve.h"
#include "engine/quant/search.h"

namespace mtmd::quant::ISA {
namespace {

constexpr int kBlock = 32;
constexpr Steps kSteps = {-0.9f, 0.05f, 36};

/// What a group of blocks becomes: value = scale * level + offset.
struct Fit {
  Floats scale, offset = {};
  Floats inverse, low = {};  ///< level = rounded((x - low) * inverse); inverse 0: all of them 0
};

Floats inverse_of(Floats d) { return d != 0 ? 1.0f / d : Floats{}; }

/// Symmetric, kHalf levels on each side: the largest magnitude lands on -kHalf.
template <int kHalf>
Fit fit_symmetric(const Floats* x) {
  const Floats d = extreme<kBlock>(x) / static_cast<float>(-kHalf);
  return {d, Floats{}, inverse_of(d)};
}

/// kTop + 1 levels from the smallest to the largest value.
template <int kTop>
Fit fit_range(const Floats* x) {
  Floats low = x[0], high = x[0];
  for (int i = 1; i < kBlock; ++i) {
    low = smaller(x[i], low);
    high = larger(x[i], high);
  }
  const Floats d = (high - low) / static_cast<float>(kTop);
  return {d, low, inverse_of(d), low};
}

template <int kBits, bool kOffset>
Fit fit(const Floats* x, const Floats* w) {
  constexpr int half = 1 << (kBits - 1), top = 2 * half - 1;
  if constexpr (kOffset) {
    if (!w) return fit_range<top>(x);
    const Offset best = search_offset<kBlock, top>(x, w, kSteps);
    return {best.scale, best.offset, best.inverse, best.low};
  } else {
    if (!w) return fit_symmetric<half>(x);
    const Symmetric best = search_symmetric<kBlock, half>(x, w);
    return {best.scale, Floats{}, best.inverse};
  }
}

/// Truncated towards zero into [0, top]; what fits no integer becomes 0.
int truncated(float v, int top) {
  v = v < 1e9f ? v : 0.0f;
  v = v > 0 ? v : 0.0f;
  v = v < static_cast<float>(top) ? v : static_cast<float>(top);
  return static_cast<int>(v);
}

template <int kBits, bool kOffset>
void find_levels(const float* x, float inverse, float low, bool searched, std::uint8_t* q) {
  constexpr int half = kOffset ? 0 : 1 << (kBits - 1), top = (1 << kBits) - 1;
  if (searched) {
    for (int j = 0; j < kBlock; ++j) {
      const int level = nearest_wrapped(inverse * (x[j] - low), -half, top - half) + half;
      q[j] = static_cast<std::uint8_t>(inverse == 0 ? 0 : level);
    }
  } else {
    for (int j = 0; j < kBlock; ++j)
      q[j] = static_cast<std::uint8_t>(truncated((x[j] - low) * inverse + (static_cast<float>(half) + 0.5f), top));
  }
}

template <int kBits, bool kOffset>
void write_block(float d, float m, const std::uint8_t* q, std::byte* b) {
  store(b, narrowed(d));
  b += 2;
  if constexpr (kOffset) {
    store(b, narrowed(m));
    b += 2;
  }
  if constexpr (kBits == 5) {
    std::uint32_t fifth = 0;
    for (int j = 0; j < kBlock; ++j) fifth |= static_cast<std::uint32_t>(q[j] >> 4) << j;
    store(b, fifth);
    b += 4;
  }
  for (int j = 0; j < 16; ++j) b[j] = static_cast<std::byte>((q[j] & 15) | (q[j + 16] & 15) << 4);
}

template <int kBits, bool kOffset>
constexpr int kBytes = 2 + 2 * kOffset + (kBits == 5 ? 4 : 0) + 16;

/// Effort::best for a group of blocks that have been written.
template <int kBits, bool kOffset>
void improve(Decode* decode, const float* x, const Floats* lanes, const float* importance, int n_blocks, Fit found,
             std::byte* blocks) {
  constexpr int half = 1 << (kBits - 1), top = 2 * half - 1, bytes = kBytes<kBits, kOffset>;
  Floats w[kBlock], scale = half_rounded(found.scale), offset = half_rounded(found.offset);
  error_weights<kBlock>(importance, n_blocks, w);
  if constexpr (kOffset) {
    if (!importance) {  // a better start than the range
      const Offset best = search_offset<kBlock, top>(lanes, w, kSteps);
      scale = half_rounded(best.scale);
      offset = half_rounded(best.offset);
    }
    improve_scale_and_offset<kBlock, top>(lanes, w, scale, offset);
  } else {
    scale = improve_scale<kBlock, -half, half - 1, true>(lanes, w, scale, half - 2.5f, half + 1.5f, 0.125f);
  }
  const Floats inverse = scale != 0 ? 1.0f / scale : Floats{};
  for (int k = 0; k < n_blocks; ++k) {
    std::uint8_t q[kBlock];
    std::byte candidate[bytes];
    find_levels<kBits, kOffset>(x + kBlock * k, inverse[k], offset[k], true, q);
    write_block<kBits, kOffset>(scale[k], offset[k], q, candidate);
    keep_better<bytes>(decode, candidate, x + kBlock * k, importance ? importance + kBlock * k : nullptr, kBlock,
                       blocks + bytes * k);
  }
}

template <int kBits, bool kOffset>
void encode(Decode* decode, const float* x, std::byte* b, std::int64_t n, const float* importance, Effort effort) {
  constexpr int bytes = kBytes<kBits, kOffset>;
  float sum = 0;
  if (importance)
    for (std::int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  const float sigma2 = sum / static_cast<float>(n);
  for (std::int64_t done = 0; done < n; done += kLanes * kBlock) {
    const std::int64_t left = (n - done) / kBlock;
    const int n_blocks = left < kLanes ? static_cast<int>(left) : kLanes;
    Floats lanes[kBlock], w[kBlock];
    transpose<kBlock>(x + done, 0, n_blocks, lanes);
    if (importance) {
      transpose<kBlock>(importance + done, 0, n_blocks, w);
      for (int i = 0; i < kBlock; ++i) w[i] *= square_root(sigma2 + lanes[i] * lanes[i]);
    }
    const Fit found = fit<kBits, kOffset>(lanes, importance ? w : nullptr);
    for (int k = 0; k < n_blocks; ++k) {
      std::uint8_t q[kBlock];
      find_levels<kBits, kOffset>(x + done + kBlock * k, found.inverse[k], found.low[k], importance != nullptr, q);
      write_block<kBits, kOffset>(found.scale[k], found.offset[k], q, b + bytes * k);
    }
    if (effort == Effort::best)
      improve<kBits, kOffset>(decode, x + done, lanes, importance ? importance + done : nullptr, n_blocks, found, b);
    b += bytes * n_blocks;
  }
}

/// Levels stay within [-127, 127] and the scale positive: matrix products count on it.
void improve_q8_0(const float* x, int n_blocks, std::byte* blocks) {
  Floats lanes[kBlock], w[kBlock], scale;
  transpose<kBlock>(x, 0, n_blocks, lanes);
  error_weights<kBlock>(nullptr, n_blocks, w);
  for (int lane = 0; lane < kLanes; ++lane)
    scale[lane] = load_f16(blocks + 34 * (lane < n_blocks ? lane : n_blocks - 1));
  scale = improve_scale<kBlock, -127, 127, false>(lanes, w, scale, 121, 128.5f, 0.25f);
  for (int k = 0; k < n_blocks; ++k) {
    std::byte candidate[34];
    store(candidate, narrowed(scale[k]));
    const float inverse = scale[k] != 0 ? 1.0f / scale[k] : 0.0f;
    for (int j = 0; j < kBlock; ++j)
      candidate[2 + j] = static_cast<std::byte>(nearest_wrapped(x[kBlock * k + j] * inverse, -127, 127));
    keep_better<34>(decode_q8_0, candidate, x + kBlock * k, nullptr, kBlock, blocks + 34 * k);
  }
}

void encode_block_q8_0(const float* x, std::byte* b) {
  float top = 0;
  for (int j = 0; j < kBlock; ++j) top = __builtin_fabsf(x[j]) > top ? __builtin_fabsf(x[j]) : top;
  const float d = top / 127, inverse = d != 0 ? 1.0f / d : 0.0f;
  store(b, narrowed(d));
  for (int j = 0; j < kBlock; ++j) b[2 + j] = static_cast<std::byte>(rounded(x[j] * inverse));
}

}  // namespace

void encode_q4_0(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  encode<4, false>(decode_q4_0, values, blocks, n, importance, effort);
}

void encode_q4_1(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  encode<4, true>(decode_q4_1, values, blocks, n, importance, effort);
}

void encode_q5_0(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  encode<5, false>(decode_q5_0, values, blocks, n, importance, effort);
}

void encode_q5_1(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort effort) {
  encode<5, true>(decode_q5_1, values, blocks, n, importance, effort);
}

void encode_q8_0(const float* values, std::byte* blocks, std::int64_t n, const float*, Effort effort) {
  const std::int64_t n_blocks = n / kBlock;
  for (std::int64_t b = 0; b < n_blocks; ++b) encode_block_q8_0(values + kBlock * b, blocks + 34 * b);
  if (effort != Effort::best) return;
  for (std::int64_t b = 0; b < n_blocks; b += kLanes)
    improve_q8_0(values + kBlock * b, n_blocks - b < kLanes ? static_cast<int>(n_blocks - b) : kLanes, blocks + 34 * b);
}

}  // namespace mtmd::quant::ISA
