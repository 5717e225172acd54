// Fills RopeTable for every flavour of rotary embedding (Su et al. 2021, arXiv:2104.09864).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/device/device.h"

namespace mtmd {

/// Where a token sits: text uses t only (t == y == x, z == 0 under M-RoPE), images also their row and column.
struct Position {
  std::int32_t t = 0, y = 0, x = 0, z = 0;
};

/// The rotary embedding of a language model.
struct RopeSpec {
  std::int32_t n_dims = 0;  ///< rotated values per head (even)
  float base = 10000.0f;
  float frequency_scale = 1.0f;  ///< 1 / linear scaling factor
  RopePairs pairs = RopePairs::adjacent;
  /// Per pair, divides its frequency (rope_freqs.weight, long/short factors); empty: ones.
  std::vector<float> factors;
  /// M-RoPE: number of pairs that follow t, y, x, z; all zero: plain RoPE on t.
  std::array<std::int32_t, 4> sections{};
  /// qwen3vl: t y x t y x … instead of consecutive ranges; pairs left over when a section ends early follow z.
  bool interleaved_sections = false;
  /// Multiplies cos and sin: the whole attention factor of YaRN or long-rope; nothing is added to it here.
  float magnitude = 1.0f;
  /// YaRN (arXiv:2309.00071): mix of interpolated and original frequencies; 0: off.
  float yarn_ext_factor = 0.0f, yarn_beta_fast = 32.0f, yarn_beta_slow = 1.0f;
  std::int32_t original_context = 0;
};

/// One row of n_dims / 2 pairs per position; angles are computed in double. Throws Error(model) for a spec that makes
/// no sense (odd n_dims, too few factors, negative sections).
RopeTable rope_table(const RopeSpec& spec, std::span<const Position> positions);
/// The same into a table that keeps its memory.
void fill_rope_table(RopeTable& table, const RopeSpec& spec, std::span<const Position> positions);

/// 2-D rotary embedding of vision encoders: pairs (i, i + d/2); the first d/4 pairs turn with the row y, the rest with
/// the column x, by pos * base^(-4 j / d), j the index within its part. d: head size, a multiple of 4, else
/// Error(model).
RopeTable vision_rope_table(std::int32_t head_dim, float base, std::span<const Position> positions);

}  // namespace mtmd
