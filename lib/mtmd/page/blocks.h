// Columns and the order in which a person reads them.
#pragma once

#include <vector>

#include "mtmd/page/rows.h"

namespace mtmd::page {

/// Splits the marks of a page into blocks in reading order. A gutter separates columns only when running text stands on
/// both sides of it: the amounts of a receipt stay on the lines of their items.
std::vector<std::vector<Mark>> find_blocks(std::vector<Mark> marks, int letter);

}  // namespace mtmd::page
