// How MiniCPM-V cuts pictures (LLaVA-UHD, Xu et al. 2024, arXiv:2403.11703): a small overview of the whole, and slices
// of about the encoder's own number of pixels in the grid that suits the picture's shape best.
#pragma once

#include <string>

#include "encoders/projector/plan.h"

namespace mtmd::encoders {

struct SliceRule {
  int side = 0;   ///< pixels: the square that the encoder was trained on; a multiple of `align`
  int align = 1;  ///< sides of all inputs are multiples of it
  int most = 9;   ///< slices
};

/// The sizes for a picture (sides >= 1).
struct Slices {
  image::Size overview;
  image::Size canvas;         ///< of all slices; unused when there are none
  int columns = 0, rows = 0;  ///< no slices: 0
};

/// Every step in f32. No input has more than four times the pixels of the trained square: strips of more than about 1 :
/// 60 are squeezed along their long side.
Slices choose_slices(image::Size picture, const SliceRule& rule) noexcept;

/// Texts around the inputs; rows of slices are separated by a line break.
struct SliceTexts {
  std::string overview_begin, overview_end;
  std::string all_begin, all_end;  ///< around all slices
  std::string begin, end;          ///< around each
};
void add_slices(Plan& plan, const Slices& slices, const SliceTexts& texts);

}  // namespace mtmd::encoders
