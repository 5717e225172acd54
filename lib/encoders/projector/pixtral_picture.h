// Pixtral's encoder and bridge (arXiv:2410.07073): two-dimensional rotary positions, merge x merge patches per token.
#pragma once

#include "encoders/projector/whole_picture.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {

class PixtralPicture : public WholePicture {
 protected:
  PixtralPicture(std::string_view type, const gguf::File& file, Device& device, Markers markers);
  /// Rows of tokens, in the order of the grid: y [inputs * cells, text_width].
  void embed_cells(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const;

 private:
  Tensor merged(Workspace& ws, Tensor x) const;

  Vector input_norm_;  // [n_embd]
  Weight merger_;      // [n_embd, n_embd * merge * merge], optional
  TwoLayer mlp_;
};

}  // namespace mtmd::encoders
