// Ruled lines of forms, tables and writing paper.
#pragma once

#include "mtmd/page/ink.h"

namespace mtmd::page {

/// Takes level (or upright) ruled lines out of the mask and paints them over in the picture. Letters that touch or
/// cross them stay.
void remove_rules(Ink& ink, bool level, int letter);

}  // namespace mtmd::page
