// Cuts a row out of the page and brings it to the shape the line model was trained on.
#pragma once

#include "mtmd/page/ink.h"
#include "mtmd/page/rows.h"

namespace mtmd::page {

/// `x0`..`x1`: the part of the row to cut. `ink_height`: source pixels that become the model's usual ink height.
struct Cut {
  int x0 = 0, x1 = 0;
  double ink_height = 0;
  int above = 0, below = 0;  ///< source rows above and below the row's box that belong to no other row
};

/// The ink height in a crop of `format.height` rows. models/train/lines.py draws its lines to the same rule.
double ink_target(const LineFormat& format);

image::Image cut_out(const Ink& ink, const Row& row, const Cut& cut, const LineFormat& format);

/// Dark ink on light paper at fixed levels, as `normalise` in models/train/lines.py.
void normalise(Plane& crop);

/// Triangle filter, widened when shrinking, of the rectangle x0.., y0.. of `in` (Pillow's BILINEAR with a box).
Plane resample(const Plane& in, double x0, double y0, double x1, double y1, int width, int height);

}  // namespace mtmd::page
