// Attention that knows how far apart a query and a key are: score = scale * (q k + q R[i - j]). No score is ever
// stored: queries and keys get more values, so that one plain product has both terms.
#pragma once

#include <string>
#include <vector>

#include "encoders/trunk/rows.h"
#include "engine/gguf/weights.h"

namespace mtmd::encoders {

struct RelativeHeads {
  std::int32_t n_heads = 0, head_dim = 0;
  float scale = 1.0f, softcap = 0.0f;  ///< as in AttentionOptions
};

/// For queries that see at most `period` keys in a row (Shaw et al. 2018, arXiv:1803.02155). No two keys that a query
/// sees have the same j mod period: keys get that unit vector, queries their score of each.
class NearDistances {
 public:
  NearDistances() = default;
  /// line: row r of [2 period - 1, head_dim] is what a query meets at a distance i - j of period - 1 - r, modulo the
  /// period; such tables head by head, or one for all heads. Of distances that differ by a period only one can occur
  /// between what a query sees, either as it is (keys of the same block) or from behind (keys before the query):
  /// the caller fills in both rows.
  NearDistances(Device& device, std::span<const float> lines, int period, const RelativeHeads& heads);

  /// y, q, k, v: [rows, n_heads * head_dim]. Memory: 2 (head_dim + period) values per head and row.
  void attend(Workspace& ws, Tensor y, Tensor q, Tensor k, Tensor v, std::span<const KeyRange> ranges) const;

 private:
  void add_scores(Tensor wide, Tensor q) const;

  Device* device_ = nullptr;
  RelativeHeads heads_;
  int period_ = 0;
  bool shared_ = false;  // one table for all heads
  Table lines_;          // [(heads or 1) * (2 period - 1), head_dim]
};

/// For any distance: R = W [sin, cos of (i - j) w_0, sin, cos of (i - j) w_1 ..] (Dai et al. 2019, arXiv:1901.02860).
/// A sine of a difference is what a rotary embedding makes: queries get W^T q, turned by their place, keys the sines of
/// theirs.
class SinusoidDistances {
 public:
  static constexpr int kFeatures = 512;  ///< sines and cosines; base 10000

  SinusoidDistances() = default;
  /// `prefix`linear_pos.weight [n_heads * head_dim, kFeatures], pos_bias_u and pos_bias_v [n_heads, head_dim]: what is
  /// added to q before it meets keys, and before it meets distances.
  SinusoidDistances(gguf::Weights& weights, Device& device, const std::string& prefix, const RelativeHeads& heads);

  /// Every row sees every row; y, q, k, v as above. Memory: 2 (head_dim + kFeatures) values per head and row.
  void attend(Workspace& ws, Tensor y, Tensor q, Tensor k, Tensor v) const;

 private:
  Device* device_ = nullptr;
  RelativeHeads heads_;
  Table map_;              // per head [kFeatures, head_dim]: cos and -sin of W by turns
  Table bias_u_, bias_v_;  // [1, n_heads * head_dim]
};

}  // namespace mtmd::encoders
