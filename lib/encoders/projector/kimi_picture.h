// Kimi's MoonViT (arXiv:2504.07491): learned positions and a rotary embedding by column and row, 2 x 2 patches per
// token.
#pragma once

#include "encoders/projector/whole_picture.h"
#include "encoders/trunk/joined_patches.h"
#include "encoders/trunk/positions.h"

namespace mtmd::encoders {

class KimiPicture : public WholePicture {
 protected:
  KimiPicture(std::string_view type, const gguf::File& file, Device& device, Markers markers, TableResize resize);
  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override;

 private:
  PositionTable table_;
  JoinedPatches bridge_;
};

}  // namespace mtmd::encoders
