// Tiles of attention in bf16 with sums and softmax in f32, for instruction sets that multiply bf16 faster than f32.
// Operands are one bf16 (8 bits) or the sum of two (16 bits): `parts`. Products of the second parts with each other,
// below 2^-16 of the whole, are left out.
#pragma once

#include "engine/device/cpu/attention_kernels.h"

namespace mtmd::cpu {

/// Rows of queries per tile, and keys.
constexpr std::int64_t kBf16QueryBlock = 32, kBf16KeyBlock = 256;

/// One block of queries against one block of keys.
struct Bf16Tile {
  const std::uint16_t *q, *k, *v;  ///< packed
  float* s;                        ///< working memory [kBf16QueryBlock, kBf16KeyBlock]
  std::uint16_t* p;                ///< working memory [parts, kBf16QueryBlock, kBf16KeyBlock]
  float *o, *m, *l;                ///< running result: [kBf16QueryBlock, dv rounded up to 16], maximum and sum per row
  const Visible* visible;          ///< keys of every row, relative to the block
  std::int64_t rows, first, last;  ///< rows in use; keys that any of them sees
  std::int64_t key_dim, value_dim;
  float softcap;
  int parts;
};

struct Bf16Attention {
  int most_parts;  ///< with so many it is faster than f32

  /// Values that packed queries, keys and values of a block take per part.
  static constexpr std::int64_t padded(std::int64_t d) { return (d + 31) / 32 * 32; }
  static constexpr std::int64_t query_values(std::int64_t d) { return kBf16QueryBlock * padded(d); }
  static constexpr std::int64_t key_values(std::int64_t d) { return kBf16KeyBlock * padded(d); }

  /// Row r of a block of queries, times `scale`. What no row is packed into must be zeros.
  void (*pack_query)(std::uint16_t* packed, int parts, std::int64_t r, const float* q, std::int64_t d, float scale);
  /// [n, d], rows `stride` floats apart, n <= kBf16KeyBlock; missing rows are zeros.
  void (*pack_keys)(std::uint16_t* packed, int parts, const float* rows, std::int64_t stride, std::int64_t n,
                    std::int64_t d);
  void (*pack_values)(std::uint16_t* packed, int parts, const float* rows, std::int64_t stride, std::int64_t n,
                      std::int64_t d);
  /// Scores, their online softmax, weighted values.
  void (*tile)(const Bf16Tile& tile);
};

}  // namespace mtmd::cpu
