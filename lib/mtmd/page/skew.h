// How far the text of a page leans.
#pragma once

#include <vector>

#include "mtmd/page/rows.h"

namespace mtmd::page {

/// Pixels down per pixel to the right of the base lines, at most 0.12 either way; 0 when it is unclear or makes no
/// difference.
double find_slope(const std::vector<Mark>& marks, int letter);

}  // namespace mtmd::page
