// Patch embedding: a convolution whose stride is its kernel (Dosovitskiy et al. 2021, arXiv:2010.11929).
#pragma once

#include <vector>

#include "encoders/image/image.h"
#include "encoders/trunk/rows.h"
#include "engine/gguf/weights.h"

namespace mtmd::encoders {

/// The order of a patch's pixels in the columns of a plain matrix.
enum class PixelOrder {
  channel_first,  ///< channel, row, column
  channel_last,   ///< row, column, channel
};

/// Kernels [n_embd, 3, p, p] and optional bias [n_embd]. Pixels and kernels are rounded to f16 like the reference's
/// convolutions, sums are f32.
class PatchEmbedding {
 public:
  PatchEmbedding() = default;
  /// `n_kernels` 2: v.patch_embd.weight and .weight.1, one per frame of a pair.
  PatchEmbedding(gguf::Weights& weights, Device& device, int n_embd, int patch_size, int n_kernels = 1);
  /// A plain matrix [n_embd, 3 * p * p] of any type: nothing is rounded.
  static PatchEmbedding as_matrix(gguf::Weights& weights, Device& device, int n_embd, int patch_size,
                                  PixelOrder order = PixelOrder::channel_first);

  /// y: [rows * columns of patches, n_embd] in raster order. Frame i goes through kernel i; a single frame through all
  /// kernels. The frames have equal sizes; what does not fill a patch at the right or bottom is ignored.
  void run(Workspace& ws, Tensor y, std::span<const image::Planes> frames) const;

 private:
  Device* device_ = nullptr;
  int patch_size_ = 0;
  bool round_f16_ = true;
  std::vector<Table> own_;       // what kernels_ view unless it is the file's
  std::vector<Weight> kernels_;  // [n_embd, 3 * p * p]
  Vector bias_;
};

}  // namespace mtmd::encoders
