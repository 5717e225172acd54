// Which pixels are ink: paper of any tint, uneven light, and light text on dark ground.
#pragma once

#include "mtmd/page/plane.h"

namespace mtmd::page {

struct Ink {
  Plane gray;   ///< the picture with dark ink everywhere: regions of light text on dark ground are inverted
  Plane paper;  ///< level of the paper around each pixel of `gray`, on a grid of `cell` pixels
  Plane mask;   ///< 1 where there is ink
  int cell = 1;

  std::uint8_t paper_at(int x, int y) const noexcept { return paper.near(x / cell, y / cell); }
};

/// An empty mask (all zero) when nothing stands out from the paper.
Ink find_ink(Plane gray);

}  // namespace mtmd::page
