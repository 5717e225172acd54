// The inner loops of attention, one table per instruction set.
//
// Many queries: scores of a block of query rows x a block of keys are a small matrix product, the softmax runs over
// them while they are in cache, and a second product adds the weighted values (FlashAttention's tiling,
// arXiv:2205.14135). Both products read their right side packed in panels of two registers, so that they run at the
// speed of the adders. Few queries: dot products and weighted sums over rows as they lie in the cache.
#pragma once

#include <cstdint>

namespace mtmd::cpu {

/// Query rows per tile: whole micro-kernels (of 12 or 6 rows).
constexpr std::int64_t kQueryBlock = 48;
/// Keys per tile.
constexpr std::int64_t kKeyBlock = 128;

/// Visible keys of a query row.
struct Visible {
  std::int32_t begin, end;
};

struct AttentionKernels {
  std::int64_t lanes;  ///< floats per register; rows of values are padded to a multiple of it

  /// keys [n, d], rows `stride` apart, n <= kKeyBlock -> packed [kKeyBlock * d]: panels of 2 * lanes keys, each [d][2 *
  /// lanes]; missing keys are zeros.
  void (*pack_keys)(float* packed, const float* rows, std::int64_t stride, std::int64_t n, std::int64_t d);
  /// values [n, d] -> packed [kKeyBlock * padded d]: panels of 2 * lanes columns (the last may have one register), each
  /// [kKeyBlock][columns]; missing keys and columns are zeros.
  void (*pack_values)(float* packed, const float* rows, std::int64_t stride, std::int64_t n, std::int64_t d);
  /// One query row into row `r` of packed [kQueryBlock * d], times `scale`. q null: zeros.
  void (*pack_query)(float* packed, std::int64_t r, const float* q, std::int64_t d, float scale);

  /// s [rows, kKeyBlock] = q k^T for the keys [first, last) of the block at least; rows are rounded up to whole
  /// micro-kernels.
  void (*scores)(float* s, const float* q_packed, const float* k_packed, std::int64_t rows, std::int64_t first,
                 std::int64_t last, std::int64_t d);
  /// The online softmax of one tile. For every row: cap scores (softcap > 0), drop the keys outside `visible` (relative
  /// to the block), raise the running maximum `m`, turn s into e^(s - m) (zero outside), add to the running sum `l`,
  /// and set `alpha` to the factor that brings what was summed before to the new maximum. Only keys [first, last) are
  /// touched.
  void (*softmax)(float* s, const Visible* visible, std::int64_t rows, std::int64_t first, std::int64_t last,
                  float softcap, float* m, float* l, float* alpha);
  /// o [rows, padded d] = alpha o + s v over keys [first, last) of the block.
  void (*accumulate)(float* o, const float* s, const float* v_packed, const float* alpha, std::int64_t rows,
                     std::int64_t first, std::int64_t last, std::int64_t padded_d);

  /// s_j = scale q . k_j for n keys, rows `stride` apart.
  void (*dots)(float* s, const float* q, const float* k, std::int64_t stride, std::int64_t n, std::int64_t d,
               float scale);
  /// o [d] += sum p_j v_j over n rows `stride` apart.
  void (*add_weighted)(float* o, const float* p, const float* v, std::int64_t stride, std::int64_t n, std::int64_t d);
  /// Few queries over a cache of halves: the query heads of one kv head share what is read. n keys, rows `stride`
  /// halves apart; d: a multiple of `lanes`; n_heads heads, q [n_heads, d]. s_hj (heads `s_stride` apart) = scale q_h .
  /// k_j
  void (*dots_f16)(float* s, std::int64_t s_stride, const float* q, std::int64_t n_heads, const std::uint16_t* k,
                   std::int64_t stride, std::int64_t n, std::int64_t d, float scale);
  /// o_h [d] (heads `o_stride` apart) += sum p_hj v_j (heads of p `p_stride` apart).
  void (*add_weighted_f16)(float* o, std::int64_t o_stride, const float* p, std::int64_t p_stride, std::int64_t n_heads,
                           const std::uint16_t* v, std::int64_t stride, std::int64_t n, std::int64_t d);
  /// Capped scores to e^(s - m); returns their sum and sets m to the maximum. n > 0.
  float (*softmax_row)(float* s, std::int64_t n, float softcap, float* m);
};

}  // namespace mtmd::cpu
