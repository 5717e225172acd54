#include "mtmd/page/page.h"

#include <leptonica/allheaders.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>

#include "mtmd/page/blocks.h"
#include "mtmd/page/crop.h"
#include "mtmd/page/ink.h"
#include "mtmd/page/rows.h"
#include "mtmd/page/rules.h"
#include "mtmd/page/skew.h"

namespace mtmd::page {
namespace {

constexpr std::int64_t kMostPixels =
    20'000'000;                              // larger pictures are shrunk: letters of a page stay far above 20 pixels
constexpr std::size_t kMostMarks = 100'000;  // beyond that only the largest are text
constexpr int kLeastHeight = 6;              // pixels of a letter that can be read at all

Plane luma(const image::Image& picture, int factor) {
  Plane out((picture.width + factor - 1) / factor, (picture.height + factor - 1) / factor);
  for (int oy = 0; oy < out.height; ++oy)
    for (int ox = 0; ox < out.width; ++ox) {
      const int y1 = std::min((oy + 1) * factor, picture.height), x1 = std::min((ox + 1) * factor, picture.width);
      std::uint64_t sum = 0, n = 0;
      for (int y = oy * factor; y < y1; ++y)
        for (int x = ox * factor; x < x1; ++x, ++n) {
          const std::uint8_t* p =
              picture.rgb.data() + 3 * (std::size_t(y) * std::size_t(picture.width) + std::size_t(x));
          sum += (299U * p[0] + 587U * p[1] + 114U * p[2] + 500U) / 1000U;
        }
      out.row(oy)[ox] = std::uint8_t((sum + n / 2) / n);
    }
  return out;
}

struct PixDelete {
  void operator()(PIX* pix) const noexcept { pixDestroy(&pix); }
};
using Pix = std::unique_ptr<PIX, PixDelete>;

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

/// Turned so that lines with the given slope become level. The corners stay in the picture; beyond its edges there is
/// paper of the nearest kind, so that no edge appears.
Plane turned(const Ink& ink, double slope) {
  const Plane& gray = ink.gray;
  const double angle = std::atan(slope), c = std::cos(angle), s = std::sin(angle);
  const int border = int(std::abs(s) * std::max(gray.width, gray.height) / 2) + 1;
  Plane out(gray.width + 2 * border, gray.height + 2 * border);
  const double mx = gray.width / 2.0, my = gray.height / 2.0;
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      const double dx = x - border - mx, dy = y - border - my, sx = mx + dx * c - dy * s, sy = my + dx * s + dy * c;
      const int x0 = int(std::floor(sx)), y0 = int(std::floor(sy));
      if (x0 < 0 || y0 < 0 || x0 >= gray.width || y0 >= gray.height) {
        out.row(y)[x] = ink.paper_at(std::max(0, x0), std::max(0, y0));
        continue;
      }
      const double fx = sx - x0, fy = sy - y0;
      const double top = gray.near(x0, y0) * (1 - fx) + gray.near(x0 + 1, y0) * fx;
      const double bottom = gray.near(x0, y0 + 1) * (1 - fx) + gray.near(x0 + 1, y0 + 1) * fx;
      out.row(y)[x] = std::uint8_t(top * (1 - fy) + bottom * fy + 0.5);
    }
  return out;
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

/// Dashes and dots in a row, as of a ruled line that noise has broken or of the leaders in a table of contents:
/// dropped, and painted over. Full stops of a text cover far less of its base line.
void remove_dashes(std::vector<Mark>& marks, Ink& ink, int letter) {
  const auto is_long = [letter](const Box& b) { return b.width > 3 * letter && 2 * b.height <= letter; };
  std::vector<std::size_t> thin;
  for (std::size_t i = 0; i < marks.size(); ++i)
    if (marks[i].box.height <= std::max(4, letter / 3) || is_long(marks[i].box)) thin.push_back(i);
  // Where letters stand, in cells of half a letter: pieces of broken letters with whole ones between them are no ruled
  // line.
  const int cell = std::max(2, letter / 2);
  Plane letters(ink.mask.width / cell + 1, ink.mask.height / cell + 1);
  for (const auto& m : marks)
    if (2 * m.box.height > letter && m.box.height < 3 * letter && m.box.width < 3 * letter)
      for (int y = m.box.y / cell; y <= (m.box.bottom() - 1) / cell; ++y)
        for (int x = m.box.x / cell; x <= (m.box.right() - 1) / cell; ++x) letters.row(y)[x] = 1;
  const auto letters_between = [&](const Box& a, const Box& b) {
    const int y = (a.y + a.height / 2) / cell;
    for (int x = a.right() / cell + 1; x < b.x / cell; ++x)
      if (letters.row(y)[x]) return true;
    return false;
  };
  const int step = std::max(2, letter / 6);
  const auto band = [&](std::size_t i, int shift) {
    return (marks[i].box.y + marks[i].box.bottom() + shift) / (2 * step);
  };
  std::vector<char> drop(marks.size(), 0);
  for (const int shift : {0, step}) {  // twice, so that no line falls on the border of two bands
    std::sort(thin.begin(), thin.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(band(a, shift), marks[a].box.x) < std::pair(band(b, shift), marks[b].box.x);
    });
    for (std::size_t first = 0; first < thin.size();) {
      std::size_t last = first;
      int covered = marks[thin[first]].box.width, right = marks[thin[first]].box.right();
      while (last + 1 < thin.size() && band(thin[last + 1], shift) == band(thin[first], shift) &&
             marks[thin[last + 1]].box.x - right < 4 * letter &&
             !letters_between(marks[thin[last]].box, marks[thin[last + 1]].box)) {
        ++last;
        covered += marks[thin[last]].box.width;
        right = std::max(right, marks[thin[last]].box.right());
      }
      const int length = right - marks[thin[first]].box.x;
      if (length > 6 * letter && covered * 5 > length)
        for (std::size_t k = first; k <= last; ++k) drop[thin[k]] = 1;
      first = last + 1;
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const Box& b = marks[i].box;
    if (!drop[i] && !is_long(b)) {
      marks[kept++] = marks[i];
      continue;
    }
    for (int y = std::max(0, b.y - 1); y < std::min(ink.gray.height, b.bottom() + 1); ++y)
      for (int x = std::max(0, b.x - 1); x < std::min(ink.gray.width, b.right() + 1); ++x)
        ink.gray.row(y)[x] = std::max(ink.gray.row(y)[x], ink.paper_at(x, y));
  }
  marks.resize(kept);
}

/// Drops dirt and what is far too large to be a letter.
void keep_letters(std::vector<Mark>& marks, int letter, const Plane& page) {
  std::erase_if(marks, [&](const Mark& m) {
    const bool dirt = m.pixels * 90 < letter * letter;
    const bool picture = m.box.height > std::max(12 * letter, page.height / 3) ||
                         (m.box.height > 4 * letter && m.box.width > 30 * letter);
    const bool edge =
        m.box.x <= 1 || m.box.y <= 1 || m.box.right() >= page.width - 1 || m.box.bottom() >= page.height - 1;
    const bool shadow = edge && (m.box.width > 6 * letter || m.box.height > 3 * letter);  // the rim of a scan
    const bool bar = 5 * m.pixels > 4 * m.box.width * m.box.height && 2 * m.box.width > 3 * m.box.height &&
                     3 * m.box.height > letter;
    const bool remains_of_rule = m.box.height <= 2 && m.box.width > 3 * letter;
    return dirt || shadow || bar || (picture && m.box.height > 3 * letter) || remains_of_rule;
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

/// Cuts a row into pieces of at most `widest` pixels at its widest gaps, and wherever a gap is as wide as several
/// letters.
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
  std::vector<int> widths;
  for (const auto& g : gaps) widths.push_back(g.width());
  const int word_gap = std::max({2, row.box.height / 6, median(widths) * 3 / 2}),
            wide_gap = std::max(3, row.box.height * 5 / 2);
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
      if (row.box.right() - piece.x0 > widest && gaps[g].from - piece.x0 > widest * 2 / 5 &&
          (!best || gaps[g].width() >= best->width()))
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
Box enlarged(const Box& box, int factor) {
  return {box.x * factor, box.y * factor, box.width * factor, box.height * factor};
}

}  // namespace

Page find_lines(const image::Image& picture, const LineFormat& format) {
  static std::once_flag quiet;
  std::call_once(quiet, [] { setMsgSeverity(L_SEVERITY_NONE); });
  Page page;
  if (picture.width < 3 || picture.height < kLeastHeight) return page;
  int factor = 1;
  while (std::int64_t(picture.width) * picture.height / (std::int64_t(factor) * factor) > kMostPixels) ++factor;
  page.scale = factor;

  Plane gray = luma(picture, factor);
  Ink ink = find_ink(gray);
  auto marks = find_marks(ink.mask);
  int letter = letter_height(marks);
  if (letter < 4) return page;
  int window = std::clamp(4 * letter, 32, 400);
  if (4 * window < 3 * kFirstWindow ||
      3 * window > 4 * kFirstWindow) {  // look again now that the size of the text is known
    ink = find_ink(std::move(gray), window);
    marks = find_marks(ink.mask);
    letter = letter_height(marks);
    if (letter < 4) return page;
  } else {
    window = kFirstWindow;
  }
  if (const double slope = find_slope(marks, letter); slope != 0) {
    page.skew_degrees = std::atan(slope) * 180 / 3.14159265358979;
    ink = find_ink(turned(ink, slope), window);
    marks = find_marks(ink.mask);
    letter = letter_height(marks);
  }
  remove_rules(ink, true, letter);
  remove_rules(ink, false, letter);
  marks = find_marks(ink.mask);
  letter = letter_height(marks);
  if (letter < 4) return page;
  remove_dashes(marks, ink, letter);
  keep_letters(marks, letter, ink.mask);
  if (marks.empty()) return page;

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
    if (rows[i].block == rows[i - 1].block)
      gaps.push_back(std::max(0, rows[i].row.box.y - rows[i - 1].row.box.bottom()));
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
      if (o.y + o.height / 2 < row.box.y + row.box.height / 2)
        cut.above = std::min(cut.above, std::max(1, (row.box.y - o.bottom()) / 2));
      else
        cut.below = std::min(cut.below, std::max(1, (o.y - row.box.bottom()) / 2));
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
