// What the projector types share that see a picture of any shape as one input between two markers, and make a token of
// every merge x merge patches. The encoder sees the patches of a token one after the other ("block order").
#pragma once

#include <string>
#include <vector>

#include "encoders/projector/vision_projector.h"

namespace mtmd::encoders {

class WholePicture : public VisionProjector {
 protected:
  struct Markers {
    std::string begin, end;                                ///< text around the picture
    std::string begin_otherwise = {}, end_otherwise = {};  ///< where the vocabulary lacks those tokens
  };
  WholePicture(std::string_view type, const gguf::File& file, Device& device, Markers markers);

  /// The size for a picture; sides are multiples of align().
  virtual Canvas canvas(image::Size size, const ImageLimits& limits) const = 0;

  bool follows_limits() const noexcept override { return true; }
  Plan plan(image::Size size, const ImageLimits& limits) const override;
  Grid grid(image::Size input) const override { return {input.width / align(), input.height / align()}; }

  /// Pixels per side of a token.
  int align() const noexcept { return hparams_.patch_size * merge_; }
  /// Values of a token's patches side by side.
  std::int64_t cell_width() const noexcept { return std::int64_t{hparams_.n_embd} * merge_ * merge_; }
  /// Reads merge_ from a key that may be missing: 1 to 16.
  void read_merge(std::string_view key, int otherwise = 2);

  /// The patches of equal-shaped inputs, in the encoder's order.
  struct Patches {
    Grid cells, patches;  ///< of one input
    std::int64_t n_inputs = 0, n = 0;
    std::vector<std::int32_t> order;  ///< of one input, by raster index
    std::vector<Position> positions;  ///< of all inputs; row and column
  };
  Patches block_patches(std::span<const Input* const> inputs) const;
  Patches ordered_patches(std::span<const Input* const> inputs, std::vector<std::int32_t> order) const;

  /// Runs the encoder where every picture sees itself; `pass` names what is special beyond that.
  void run_vit(Workspace& ws, Tensor x, const Patches& p, Vit::Pass pass = {}) const;
  /// The same with the two-dimensional rotary embedding of Qwen2-VL.
  void run_rotated(Workspace& ws, Tensor x, const Patches& p, Vit::Pass pass = {}) const;
  /// The patches of a token side by side: [tokens, merge * merge * n].
  Tensor cells(Tensor x) const noexcept { return x.reshaped(x.rows / (merge_ * merge_), x.cols * merge_ * merge_); }

  int merge_ = 2;  ///< patches per side of a token
  PatchEmbedding patches_;
  Vit vit_;

 private:
  Markers markers_;
};

}  // namespace mtmd::encoders
