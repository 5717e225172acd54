// From a picture of text to the lines on it, in reading order, ready for a model that reads one line at a time.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "encoders/image/image.h"

namespace mtmd::page {

/// What the line model wants (its mmproj says so: mtmd.line_height, mtmd.max_width).
struct LineFormat {
  int height = 32;
  int max_width = 320;
  int min_width = 64;  ///< 8 image tokens, the fewest that are not enlarged
  int step = 16;       ///< widths are multiples of this
};

/// Pixels of the given picture; of the straightened one when the page was turned (`Page::skew_degrees`).
struct Box {
  int x = 0, y = 0, width = 0, height = 0;
  int right() const noexcept { return x + width; }
  int bottom() const noexcept { return y + height; }
  friend bool operator==(const Box&, const Box&) = default;
};

/// A piece of a line that fits the model: cut at a word gap where there is one.
struct Segment {
  Box box;
  bool space_before = false;  ///< a word gap separates it from the segment before
  image::Image crop;          ///< format.height rows, dark ink on light paper
};

struct Line {
  Box box;
  int block = 0;            ///< column or paragraph group it belongs to, counted in reading order
  bool gap_before = false;  ///< an empty line or a new block comes before it
  std::vector<Segment> segments;
};

struct Page {
  std::vector<Line> lines;
  double skew_degrees = 0;  ///< how far its lines fell to the right before the page was turned straight
  double scale = 1;         ///< boxes were found on a picture this much smaller and are given in the original's pixels
};

/// Finds the lines of a page, or of a picture with a single line. Nothing that looks like text: no lines. Never throws
/// for the content of the picture; time and memory are linear in its pixels.
Page find_lines(const image::Image& picture, const LineFormat& format = {});

/// The page's text from the texts of its segments (line by line, in the order of `lines` and their `segments`):
/// segments joined by spaces, lines by newlines, an empty line where the page has a gap. No newline at the end.
std::string join(const Page& page, std::span<const std::string> segment_texts);

}  // namespace mtmd::page
