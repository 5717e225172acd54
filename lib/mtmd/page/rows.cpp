#include "mtmd/page/rows.h"

#include <algorithm>
#include <cmath>

namespace mtmd::page {
namespace {

int overlap(int a0, int a1, int b0, int b1) { return std::max(0, std::min(a1, b1) - std::max(a0, b0)); }

/// A row while it grows from left to right.
struct Growing {
  std::vector<Box> marks;
  Box box;

  /// Where the row runs at its right end: what its last few marks span.
  std::pair<int, int> reach() const {
    int top = marks.back().y, bottom = marks.back().bottom();
    for (std::size_t i = marks.size(); i-- > 0 && marks.size() - i <= 5;) {
      top = std::min(top, marks[i].y);
      bottom = std::max(bottom, marks[i].bottom());
    }
    return {top, bottom};
  }
  void add(const Box& mark) {
    box = marks.empty() ? mark : around(box, mark);
    marks.push_back(mark);
  }
};

/// The row that `mark` continues, or null: they share at least half the height of the lower of the two.
Growing* continued(std::vector<Growing>& rows, const Box& mark) {
  Growing* best = nullptr;
  double best_share = 0.5;
  for (auto& row : rows) {
    const auto [top, bottom] = row.reach();
    const int lower = std::min(mark.height, bottom - top);
    if (mark.height > 5 * (bottom - top) / 2 || bottom - top > 4 * mark.height) continue;
    const double share = double(overlap(mark.y, mark.bottom(), top, bottom)) / lower;
    if (share > best_share) {
      best_share = share;
      best = &row;
    }
  }
  return best;
}

/// Whether the marks of `b` stand beside those of `a` rather than above or below them.
bool fits_between(const Growing& a, const Growing& b) {
  std::size_t covered = 0;
  for (const auto& m : b.marks)
    covered += std::any_of(a.marks.begin(), a.marks.end(), [&](const Box& o) {
      return 2 * overlap(m.x, m.right(), o.x, o.right()) > std::min(m.width, o.width);
    });
  return covered * 4 <= b.marks.size();
}

/// Pieces of one row that grew apart (a wide gap, a first letter that stood alone).
void merge(std::vector<Growing>& rows) {
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.box.y < b.box.y; });
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = i + 1; j < rows.size() && rows[j].box.y < rows[i].box.bottom();) {
      const Box &a = rows[i].box, &b = rows[j].box;
      const int shared = overlap(a.y, a.bottom(), b.y, b.bottom());
      const int lower = std::min(a.height, b.height);
      const bool smaller_first = rows[i].marks.size() < rows[j].marks.size();
      if (shared * 10 > lower * 7 ||
          (shared * 10 > lower * 4 && fits_between(rows[smaller_first ? j : i], rows[smaller_first ? i : j]))) {
        for (const auto& mark : rows[j].marks) rows[i].add(mark);
        rows.erase(rows.begin() + std::ptrdiff_t(j));
        j = i + 1;
      } else {
        ++j;
      }
    }
}

/// Median slope between letters that are far apart; their feet lie on the base line but for the descenders.
double slope_of(const std::vector<Box>& letters, int width, int letter) {
  if (letters.size() < 10 || width < 8 * letter) return 0;
  std::vector<double> slopes;
  const std::size_t step = letters.size() / 60 + 1;
  for (std::size_t i = 0; i < letters.size(); i += step)
    for (std::size_t j = i + step; j < letters.size(); j += step) {
      const int dx = letters[j].x - letters[i].x;
      if (dx > width / 3) slopes.push_back(double(letters[j].bottom() - letters[i].bottom()) / dx);
    }
  if (slopes.size() < 4) return 0;
  std::nth_element(slopes.begin(), slopes.begin() + std::ptrdiff_t(slopes.size() / 2), slopes.end());
  const double slope = slopes[slopes.size() / 2];
  return std::abs(slope) * width < 1.0 || std::abs(slope) > 0.12 ? 0 : slope;
}

/// The row's box in its own frame, where the base line is level.
Row finish(const Growing& grown, int letter) {
  Row row;
  row.marks = grown.marks;
  std::sort(row.marks.begin(), row.marks.end(), [](const Box& a, const Box& b) { return a.x < b.x; });
  std::vector<Box> letters;
  for (const auto& m : row.marks)
    if (2 * m.height > letter) letters.push_back(m);
  row.slope = slope_of(letters, grown.box.width, letter);
  const double pivot = grown.box.x + grown.box.width / 2.0;
  int top = 0, bottom = 0;
  bool first = true;
  for (const auto& m : row.marks) {
    const int shift = int(std::lround(row.slope * (m.x + m.width / 2.0 - pivot)));
    top = first ? m.y - shift : std::min(top, m.y - shift);
    bottom = first ? m.bottom() - shift : std::max(bottom, m.bottom() - shift);
    first = false;
  }
  row.box = {grown.box.x, top, grown.box.width, bottom - top};
  return row;
}

}  // namespace

Box around(const Box& a, const Box& b) {
  const int x = std::min(a.x, b.x), y = std::min(a.y, b.y);
  return {x, y, std::max(a.right(), b.right()) - x, std::max(a.bottom(), b.bottom()) - y};
}

int letter_height(const std::vector<Mark>& marks) {
  // The median with every mark weighted by its height, so that dots and dirt do not count for much.
  std::vector<int> heights;
  long total = 0;
  for (const auto& m : marks)
    if (m.box.height >= 4 && m.box.height <= 400 && m.box.width <= 8 * m.box.height) {
      heights.push_back(m.box.height);
      total += m.box.height;
    }
  std::sort(heights.begin(), heights.end());
  long seen = 0;
  for (const int h : heights)
    if ((seen += h) * 2 >= total) return h;
  return 0;
}

std::vector<Row> find_rows(std::vector<Mark> marks, int letter) {
  std::sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return a.box.x < b.box.x; });
  std::vector<Growing> rows;
  std::vector<Box> small, tall;
  for (const auto& m : marks) {
    if (9 * m.box.height < 4 * letter) {
      small.push_back(m.box);
    } else if (m.box.height > 2 * letter + letter / 4) {
      tall.push_back(m.box);
    } else if (Growing* row = continued(rows, m.box)) {
      row->add(m.box);
    } else {
      rows.emplace_back().add(m.box);
    }
  }
  merge(rows);
  // Tall marks: letters of a title join their smaller neighbours or make rows of their own; what spans several rows
  // (braces, letters of two rows that touch) joins each of them.
  std::vector<Growing> titles;
  for (const auto& m : tall) {
    std::vector<Growing*> spanned;
    for (auto& row : rows)
      if (overlap(m.y, m.bottom(), row.box.y, row.box.bottom()) * 10 > row.box.height * 7 &&
          m.x < row.box.right() + 2 * letter && m.right() > row.box.x - 2 * letter)
        spanned.push_back(&row);
    if (spanned.size() == 1 && 2 * m.height <= 5 * spanned[0]->box.height) {
      spanned[0]->add(m);
    } else if (!spanned.empty()) {
      for (Growing* row : spanned) {
        const int y0 = std::max(m.y, row->box.y), y1 = std::min(m.bottom(), row->box.bottom());
        row->add({m.x, y0, m.width, y1 - y0});
      }
    } else if (Growing* row = continued(titles, m)) {
      row->add(m);
    } else {
      titles.emplace_back().add(m);
    }
  }
  for (auto& t : titles) rows.push_back(std::move(t));
  merge(rows);
  // A few low marks alone are no row: commas, quotes, accents of a neighbour.
  std::erase_if(rows, [&](const Growing& row) {
    const bool crumbs = 4 * row.box.height < 3 * letter && row.box.width < 3 * letter && rows.size() > 1;
    if (crumbs) small.insert(small.end(), row.marks.begin(), row.marks.end());
    return crumbs;
  });
  // Dots, accents, commas, dashes: to the row they are nearest to.
  for (const auto& m : small) {
    Growing* best = nullptr;
    int nearest = letter / 2 + 1;
    for (auto& row : rows) {
      const int reach = 3 * std::max(letter, row.box.height);
      if (m.x > row.box.right() + reach || m.right() < row.box.x - reach) continue;
      const int gap = std::max({0, row.box.y - m.bottom(), m.y - row.box.bottom()});
      if (gap < nearest) {
        nearest = gap;
        best = &row;
      }
    }
    if (best) best->add(m);
  }
  std::vector<Row> done;
  for (const auto& row : rows) {
    Row r = finish(row, letter);
    if (r.box.height >= 5 && !r.marks.empty()) done.push_back(std::move(r));
  }
  std::sort(done.begin(), done.end(),
            [](const Row& a, const Row& b) { return a.box.y + a.box.bottom() < b.box.y + b.box.bottom(); });
  return done;
}

}  // namespace mtmd::page
