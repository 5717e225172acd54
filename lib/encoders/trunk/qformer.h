// A Q-Former (Li et al. 2023, arXiv:2301.12597): learned queries that see each other and what an encoder made of a
// window, so that every window becomes as many rows as there are queries.
#pragma once

#include <string>
#include <vector>

#include "encoders/trunk/conformer.h"

namespace mtmd::encoders {

struct QFormerSpec {
  std::int32_t n_embd = 0, n_heads = 0;  ///< n_embd is a multiple of n_heads
  std::int32_t n_queries = 0;            ///< per window
  std::int32_t window = 0;               ///< rows of the encoder
};

class QFormer {
 public:
  QFormer() = default;
  /// a.proj_query [n_queries, n_embd], a.proj_norm, and a.proj_blk.* as long as the file has more.
  QFormer(gguf::Weights& weights, Device& device, const QFormerSpec& spec);
  /// x: [windows * window, n_embd] -> y: [windows * n_queries, n_embd]
  void run(Workspace& ws, Tensor y, Tensor x) const;

 private:
  struct Attention {
    Projection q, k, v, o;
    RowNorm norm;
  };
  struct Block {
    Attention self, cross;
    Projection up, down;
    RowNorm norm;
  };
  Attention load_attention(gguf::Weights& weights, const std::string& prefix) const;
  /// y = norm(y + o(attention(y, x))); every `queries` rows of y see their `keys` rows of x.
  void attend(Workspace& ws, Tensor y, Tensor x, const Attention& part, std::int64_t keys) const;

  Device* device_ = nullptr;
  QFormerSpec spec_;
  Vector query_;  // [n_queries, n_embd]
  RowNorm norm_;
  std::vector<Block> blocks_;
};

}  // namespace mtmd::encoders
