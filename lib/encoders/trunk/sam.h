// The picture encoder of Segment Anything (Kirillov et al. 2023, arXiv:2304.02643, after ViTDet): attention in windows
// and, in every third layer, over the whole picture, with learned relative positions per axis; then convolutions that
// make one row of every 4 x 4 patches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "encoders/trunk/conv.h"
#include "encoders/trunk/positions.h"
#include "engine/gguf/weights.h"

namespace mtmd::encoders {

struct SamSpec {
  std::int32_t n_embd = 0, n_heads = 0, n_layers = 0;
  std::int32_t patch_size = 16;
  std::int32_t window = 14;  ///< patches per side
  std::int32_t n_out = 0;    ///< columns of the result
};

class Sam {
 public:
  static constexpr int kShrink = 4;  ///< patches per side of a row of the result

  Sam() = default;
  /// Fetches v.sam.*. Throws Error(model) for missing or wrongly shaped tensors.
  Sam(gguf::Weights& weights, Device& device, const SamSpec& spec);

  /// pixels: [height * width, 3], sides multiples of kShrink * patch_size -> y [cells, n_out], raster. Scratch memory
  /// is linear in the patches. `positions`: how the learned positions become those of a picture of another size.
  void run(Workspace& ws, Tensor y, Tensor pixels, int height, int width, TableResize positions) const;

 private:
  struct Layer {
    Vector ln1, ln1_bias, ln2, ln2_bias;    // [n_embd]
    Weight q, k, v, o;                      // [n_embd, n_embd]
    Vector q_bias, k_bias, v_bias, o_bias;  // [n_embd]
    Vector rows, columns;                   // [2 side - 1, head_dim]: row i is for a distance of i - (side - 1)
    Weight up, down;                        // [n_ff, n_embd], [n_embd, n_ff]
    Vector up_bias, down_bias;
    bool global = false;
  };
  struct Windows;
  Layer load_layer(gguf::Weights& weights, int index) const;
  void attention(Workspace& ws, Tensor x, const Layer& layer, const Windows& windows) const;
  /// Columns of q after its head_dim first: what a query adds to the keys of each row and of each column of its window.
  void add_relative(Workspace& ws, Tensor wide, Tensor q, Vector table, const Windows& windows, bool vertical) const;
  void feed_forward(Workspace& ws, Tensor x, const Layer& layer) const;
  void neck(Workspace& ws, Tensor y, Tensor x, int columns, int rows) const;

  Device* device_ = nullptr;
  SamSpec spec_;
  Conv2d patches_;
  PositionTable positions_;
  std::vector<Layer> layers_;
  Conv2d narrow_, smooth_, half_, quarter_;
  Vector narrow_norm_, narrow_norm_bias_, smooth_norm_, smooth_norm_bias_;  // of the channels
};

}  // namespace mtmd::encoders
