// Blocks of 32 values with one half-precision scale (and, in the _1 formats, one offset): rounded to nearest, or with
// importance searched for.
#include "engine/quant/formats.h"
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
void encode(const float* x, std::byte* b, std::int64_t n, const float* importance) {
  constexpr int bytes = 2 + 2 * kOffset + (kBits == 5 ? 4 : 0) + 16;
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
    for (int k = 0; k < n_blocks; ++k, b += bytes) {
      std::uint8_t q[kBlock];
      find_levels<kBits, kOffset>(x + done + kBlock * k, found.inverse[k], found.low[k], importance != nullptr, q);
      write_block<kBits, kOffset>(found.scale[k], found.offset[k], q, b);
    }
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

void encode_q4_0(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort) {
  encode<4, false>(values, blocks, n, importance);
}

void encode_q4_1(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort) {
  encode<4, true>(values, blocks, n, importance);
}

void encode_q5_0(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort) {
  encode<5, false>(values, blocks, n, importance);
}

void encode_q5_1(const float* values, std::byte* blocks, std::int64_t n, const float* importance, Effort) {
  encode<5, true>(values, blocks, n, importance);
}

void encode_q8_0(const float* values, std::byte* blocks, std::int64_t n, const float*, Effort) {
  for (; n > 0; n -= kBlock, values += kBlock, blocks += 34) encode_block_q8_0(values, blocks);
}

}  // namespace mtmd::quant::ISA
