// What the projector types of MiniCPM-V share: slices and an overview, and learned positions that cover pictures of any
// size and shape.
#pragma once

#include <string_view>

#include "encoders/projector/slices.h"
#include "encoders/projector/vision_projector.h"

namespace mtmd::encoders {

class SlicedPicture : public VisionProjector {
 protected:
  /// Sides of inputs are multiples of `align` pixels. Throws Error(model) when clip.vision.image_size is not.
  void load(Device& device, int align);
  using VisionProjector::VisionProjector;

  virtual SliceTexts texts() const { return {"<image>", "</image>", "", "", "<slice>", "</slice>"}; }

  Plan plan(image::Size size, const ImageLimits& limits) const override;
  Presets trained_prompts() const override;

  /// Patches with their positions, raster: [inputs * patches, n_embd].
  Tensor embed_placed(std::span<const Input* const> inputs, Workspace& ws) const;

  int align_ = 1;
  Vit vit_;

 private:
  PatchEmbedding patches_;
  Weight positions_;  // [70 * 70, n_embd]
};

}  // namespace mtmd::encoders
