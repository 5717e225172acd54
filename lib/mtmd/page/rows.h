// Marks (connected pieces of ink) and the rows of text they form.
#pragma once

#include <vector>

#include "mtmd/page/page.h"

namespace mtmd::page {

struct Mark {
  Box box;
  int pixels = 0;
};

struct Row {
  std::vector<Box> marks;  ///< from left to right
  Box box;
  double slope = 0;  ///< pixels down per pixel to the right
};

/// The usual height of a letter among the marks; 0 when there are none.
int letter_height(const std::vector<Mark>& marks);

/// Groups the marks of one block of text into rows, from top to bottom.
std::vector<Row> find_rows(std::vector<Mark> marks, int letter);

Box around(const Box& a, const Box& b);

}  // namespace mtmd::page
