// What Gemma 4's two ways to see share: sizes, positions by row and column, the last linear map.
#pragma once

#include <string_view>
#include <vector>

#include "encoders/projector/whole_picture.h"

namespace mtmd::encoders {

class Gemma4Picture : public WholePicture {
 public:
  bool non_causal() const noexcept override { return true; }

 protected:
  Gemma4Picture(std::string_view type, const gguf::File& file, Device& device);

  Canvas canvas(image::Size size, const ImageLimits& limits) const override;
  Presets trained_prompts() const override;

  /// The inputs with pixels in -1..1 instead of 0..1.
  static std::vector<Input> centered(std::span<const Input* const> inputs);
  /// Row of the table of columns plus row of the table of rows, raster: [columns * rows, n_embd].
  std::vector<float> axis_positions(Grid g) const;
  /// x: [tokens, n_embd], is overwritten; y: [tokens, text_width]
  void project(Tensor y, Tensor x) const;

 private:
  int n_positions_ = 0;  ///< per axis
  Vector positions_;     // [2, n_positions, n_embd]: columns, rows
  Weight projection_;    // [text_width, n_embd]
};

}  // namespace mtmd::encoders
