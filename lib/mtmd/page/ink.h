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

/// `window`: pixels of the page that decide about paper and polarity, more than a row of text and less than two rows
/// apart would be best; the first look at a page knows no better than kFirstWindow. An empty mask (all zero) when
/// nothing stands out.
constexpr int kFirstWindow = 80;
Ink find_ink(Plane gray, int window = kFirstWindow);

}  // namespace mtmd::page
