#include "mtmd/page/page.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "mtmd/page/blocks.h"
#include "mtmd/page/crop.h"
#include "mtmd/page/ink.h"
#include "mtmd/page/rows.h"
#include "mtmd/page/skew.h"

namespace mtmd::page {
namespace {

constexpr std::int64_t kMostPixels = 20'000'000;  // larger pictures are shrunk: letters of a page stay far above 20 pixels
constexpr std::size_t kMostMarks = 100'000;       // beyond that only the largest are text
constexpr int kLeastHeight = 6;                   // pixels of a letter that can be read at all

Plane luma(const image::Image& picture, int factor) {
  Plane out((picture.width + factor - 1) / factor, (picture.height + factor - 1) / factor);
  for (int oy = 0; oy < out.height; ++oy)
    for (int ox = 0; ox < out.width; ++ox) {
      const int y1 = std::min((oy + 1) * factor, picture.height), x1 = std::min((ox + 1) * factor, picture.width);
      std::uint64_t sum = 0, n = 0;
      for (int y = oy * factor; y < y1; ++y)
        for (int x = ox * factor; x < x1; ++x, ++n) {
          const std::uint8_t* p = picture.rgb.data() + 3 * (std::size_t(y) * std::size_t(picture.width) + std::size_t(x));
          sum += (299U * p[0] + 587U * p[1] + 114U * p[2] + 500U) / 1000U;
        }
      out.row(oy)[ox] = std::uint8_t((sum + n / 2) / n);
    }
  return out;
}

Pix to_binary(const Plane& mask) {
  Pix pix(pixCreate(mask.width, mask.height, 1));
  if (!pix) return pix;
  const auto words = pixGetWpl(pix.get());
  for (int y = 0; y < mask.height; ++y) {
    l_uint32* out = pixGetData(pix.get()) + std::size_t(y) * std::size_t(words);
    for (int x = 0; x < mask.width; ++x)
      if (mask.row(y)[x]) SET_DATA_BIT(out, x);
  }
  return pix;
}

/// Turned so that lines with the given slope become level; the corners stay in the picture.
Plane turned(const Plane& gray, double slope, std::uint8_t fill) {
  const double radians = -std::atan(slope);
  const int border = int(std::abs(std::sin(radians)) * std::max(gray.width, gray.height) / 2) + 1;
  const Pix pix = to_pix(gray);
  if (!pix) return gray;
  const Pix wide(pixAddBorderGeneral(pix.get(), border, border, border, border, fill));
  const Pix level(wide ? pixRotateAMGray(wide.get(), l_float32(radians), fill) : nullptr);
  return level ? to_plane(level.get()) : gray;
}

/// Removes ruled lines from the mask and paints them over in the picture. A pixel belongs to one when its run along the line is
/// long and its run across is short, so letters that cross or touch the line keep their pixels.
void remove_rules(Ink& ink, bool level, int longest_letter, int thickest) {
  const int n_lines = level ? ink.mask.height : ink.mask.width, n = level ? ink.mask.width : ink.mask.height;
  const auto mask_at = [&](int line, int i) -> std::uint8_t& { return level ? ink.mask.row(line)[i] : ink.mask.row(i)[line]; };
  std::vector<std::pair<int, int>> found;
  for (int line = 0; line < n_lines; ++line)
    for (int i = 0; i < n;) {
      int end = i, misses = 0;
      for (int k = i; k < n && misses < 3; ++k) {  // noise may interrupt the line for a pixel or two
        misses = mask_at(line, k) ? 0 : misses + 1;
        if (!misses) end = k + 1;
      }
      if (end - i > longest_letter)
        for (int k = i; k < end; ++k) {
          int a = line, b = line;
          while (a > 0 && line - a <= thickest && mask_at(a - 1, k)) --a;
          while (b + 1 < n_lines && b - line <= thickest && mask_at(b + 1, k)) ++b;
          if (mask_at(line, k) && b - a < thickest) found.emplace_back(line, k);
        }
      i = std::max(end, i + 1);
    }
  for (const auto& [line, i] : found) mask_at(line, i) = 0;
  for (const auto& [line, i] : found)
    for (int d = -2; d <= 2; ++d) {  // the soft edge as well, unless a letter stands there
      const int l = line + d;
      if (l < 0 || l >= n_lines || mask_at(l, i)) continue;
      const int x = level ? i : l, y = level ? l : i;
      ink.gray.row(y)[x] = std::max(ink.gray.row(y)[x], ink.paper_at(x, y));
    }
}

std::vector<Mark> find_marks(const Plane& mask) {
  std::vector<Mark> marks;
  const Pix binary = to_binary(mask);
  if (!binary) return marks;
  PIXA* pieces = nullptr;
  BOXA* boxes = pixConnComp(binary.get(), &pieces, 8);
  const l_int32 n = boxes ? boxaGetCount(boxes) : 0;
  for (l_int32 i = 0; i < n; ++i) {
    Mark m;
    boxaGetBoxGeometry(boxes, i, &m.box.x, &m.box.y, &m.box.width, &m.box.height);
    l_int32 pixels = 0;
    pixCountPixels(pieces->pix[i], &pixels, nullptr);
    m.pixels = pixels;
    if (pixels >= 2) marks.push_back(m);
  }
  boxaDestroy(&boxes);
  pixaDestroy(&pieces);
  if (marks.size() > kMostMarks) {
    std::nth_element(marks.begin(), marks.begin() + kMostMarks, marks.end(),
                     [](const Mark& a, const Mark& b) { return a.pixels > b.pixels; });
    marks.resize(kMostMarks);
  }
  return marks;
}

/// Drops dirt and what is far too large to be a letter.
void keep_letters(std::vector<Mark>& marks, int letter, const Plane& page) {
  std::erase_if(marks, [&](const Mark& m) {
    const bool dirt = m.pixels * 90 < letter * letter;
    const bool picture = m.box.height > std::max(12 * letter, page.height / 3) || (m.box.height > 4 * letter && m.box.width > 30 * letter);
    const bool remains_of_rule = m.box.height <= 2 && m.box.width > 3 * letter;
    return dirt || (picture && m.box.height > 3 * letter) || remains_of_rule;
  });
}

int median(std::vector<int> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + std::ptrdiff_t(values.size() / 2), values.end());
  return values[values.size() / 2];
}

struct Piece {
  int x0, x1;
  bool space_before;
};

/// Cuts a row into pieces of at most `widest` pixels at its widest gaps, and wherever a gap is as wide as several letters.
std::vector<Piece> pieces_of(const Row& row, int widest) {
  struct Gap {
    int from, to;
    int width() const { return to - from; }
  };
  std::vector<Gap> gaps;
  int reach = row.marks.front().right();
  for (const auto& m : row.marks) {
    if (m.x > reach) gaps.push_back({reach, m.x});
    reach = std::max(reach, m.right());
  }
  const int word_gap = std::max(2, row.box.height / 6), wide_gap = std::max(3, row.box.height * 5 / 2);
  std::vector<Piece> pieces;
  Piece piece{row.marks.front().x, reach, false};
  std::size_t next = 0;  // first gap not behind us
  while (true) {
    // The best gap to end this piece at: the first very wide one, else the widest in the second half of what fits.
    const Gap* best = nullptr;
    for (std::size_t g = next; g < gaps.size() && gaps[g].from - piece.x0 <= widest; ++g) {
      if (gaps[g].width() > wide_gap) {
        best = &gaps[g];
        break;
      }
      if (row.box.right() - piece.x0 > widest && gaps[g].from - piece.x0 > widest * 2 / 5 && (!best || gaps[g].width() >= best->width()))
        best = &gaps[g];
    }
    int to, from;
    if (best) {
      to = best->from, from = best->to;
    } else if (reach - piece.x0 > widest) {  // letters that touch all along: cut anywhere
      to = from = piece.x0 + widest;
    } else {
      piece.x1 = reach;
      pieces.push_back(piece);
      return pieces;
    }
    piece.x1 = to;
    pieces.push_back(piece);
    piece = {from, reach, from - to >= word_gap};
    while (next < gaps.size() && gaps[next].from < from) ++next;
  }
}

/// Boxes in the pixels of the picture that was given.
Box enlarged(const Box& box, int factor) { return {box.x * factor, box.y * factor, box.width * factor, box.height * factor}; }

}  // namespace

Page find_lines(const image::Image& picture, const LineFormat& format) {
  static std::once_flag quiet;
  std::call_once(quiet, [] { setMsgSeverity(L_SEVERITY_NONE); });
  Page page;
  if (picture.width < 3 || picture.height < kLeastHeight) return page;
  int factor = 1;
  while (std::int64_t(picture.width) * picture.height / (std::int64_t(factor) * factor) > kMostPixels) ++factor;
  page.scale = factor;

  Ink ink = find_ink(luma(picture, factor));
  auto marks = find_marks(ink.mask);
  int letter = letter_height(marks);
  if (letter < 4) return page;
  if (const double slope = find_slope(marks, letter); slope != 0) {
    page.skew_degrees = std::atan(slope) * 180 / 3.14159265358979;
    const std::uint8_t fill = ink.paper.near(ink.paper.width / 2, ink.paper.height / 2);
    ink = find_ink(turned(ink.gray, slope, fill));
    marks = find_marks(ink.mask);
    letter = letter_height(marks);
  }
  remove_rules(ink, true, std::max(40, 5 * letter), std::max(3, letter / 3) + 1);
  remove_rules(ink, false, std::max(60, 6 * letter), std::max(3, letter / 3) + 1);
  marks = find_marks(ink.mask);
  letter = letter_height(marks);
  keep_letters(marks, letter, ink.mask);
  if (letter < 4 || marks.empty()) return page;

  struct Placed {
    Row row;
    int block;
  };
  std::vector<Placed> rows;
  int n_blocks = 0;
  for (auto& block : find_blocks(std::move(marks), letter)) {
    for (auto& row : find_rows(std::move(block), letter))
      if (row.box.height >= kLeastHeight) rows.push_back({std::move(row), n_blocks});
    ++n_blocks;
  }
  std::vector<int> heights;
  for (const auto& r : rows) heights.push_back(r.row.box.height);
  const int usual = median(heights);
  std::vector<int> gaps;
  for (std::size_t i = 1; i < rows.size(); ++i)
    if (rows[i].block == rows[i - 1].block) gaps.push_back(std::max(0, rows[i].row.box.y - rows[i - 1].row.box.bottom()));
  const int usual_gap = median(gaps);

  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i].row;
    Line line{.box = enlarged(row.box, factor), .block = rows[i].block, .gap_before = false, .segments = {}};
    if (i > 0) {
      const Row& above = rows[i - 1].row;
      const int gap = row.box.y - above.box.bottom(), height = std::max(above.box.height, row.box.height);
      line.gap_before = rows[i].block != rows[i - 1].block || gap > std::max(height * 9 / 10, usual_gap * 3 / 2);
    }
    Cut cut;
    cut.ink_height = row.box.height;
    if (rows.size() >= 3 && row.box.height * 2 > usual) cut.ink_height = std::max(cut.ink_height, 0.85 * usual);
    // Half the way to the neighbours above and below belongs to this row.
    cut.above = cut.below = int(cut.ink_height);
    for (const auto& other : rows) {
      const Box& o = other.row.box;
      if (&other.row == &row || o.right() < row.box.x || o.x > row.box.right()) continue;
      if (o.y + o.height / 2 < row.box.y + row.box.height / 2) cut.above = std::min(cut.above, std::max(1, (row.box.y - o.bottom()) / 2));
      else cut.below = std::min(cut.below, std::max(1, (o.y - row.box.bottom()) / 2));
    }
    const double scale = ink_target(format) / cut.ink_height;
    const int widest = std::max(8, int(format.max_width / scale) - 2 * int(std::ceil(4 / scale)) - 1);
    for (const auto& piece : pieces_of(row, widest)) {
      cut.x0 = piece.x0;
      cut.x1 = piece.x1;
      line.segments.push_back({.box = enlarged({piece.x0, row.box.y, piece.x1 - piece.x0, row.box.height}, factor),
                               .space_before = piece.space_before,
                               .crop = cut_out(ink, row, cut, format)});
    }
    page.lines.push_back(std::move(line));
  }
  return page;
}

std::string join(const Page& page, std::span<const std::string> segment_texts) {
  std::string out;
  std::size_t next = 0;
  for (const auto& line : page.lines) {
    std::string text;
    for (const auto& segment : line.segments) {
      if (next >= segment_texts.size()) break;
      const std::string& piece = segment_texts[next++];
      if (segment.space_before && !text.empty() && !piece.empty()) text += ' ';
      text += piece;
    }
    if (text.empty()) continue;
    if (!out.empty()) out += line.gap_before ? "\n\n" : "\n";
    out += text;
  }
  return out;
}

}  // namespace mtmd::page
