#include "mtmd/page/blocks.h"

#include <algorithm>

namespace mtmd::page {
namespace {

constexpr std::size_t kMostBands = 1000;  // beyond that it is no page of text, and the search below would be slow
constexpr int kLeastRows = 4;

using Marks = std::vector<Mark>;

/// Which columns (or rows) of pixels have a mark; `spread` closes gaps narrower than twice that.
std::vector<char> shadow(const Marks& marks, int from, int to, bool of_rows, int spread = 0) {
  std::vector<char> dark(std::size_t(to - from), 0);
  for (const auto& m : marks) {
    const int a = (of_rows ? m.box.y : m.box.x) - spread, b = (of_rows ? m.box.bottom() : m.box.right()) + spread;
    for (int i = std::max(a, from); i < std::min(b, to); ++i) dark[std::size_t(i - from)] = 1;
  }
  return dark;
}

Box extent(const Marks& marks) {
  Box box = marks.front().box;
  for (const auto& m : marks) box = around(box, m.box);
  return box;
}

/// Groups of marks that are separated by empty rows of pixels.
std::vector<Marks> bands_of(Marks marks) {
  std::vector<Marks> bands;
  std::sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return a.box.y < b.box.y; });
  int bottom = 0;
  for (const auto& m : marks) {
    if (bands.empty() || m.box.y >= bottom) bands.emplace_back();
    bands.back().push_back(m);
    bottom = bands.size() == 1 && bands.back().size() == 1 ? m.box.bottom() : std::max(bottom, m.box.bottom());
  }
  return bands;
}

/// Running text: several rows that fill most of the width they share.
bool is_running_text(const Marks& marks, int letter) {
  const auto bands = bands_of(marks);
  const Box box = extent(marks);
  if (int(bands.size()) < kLeastRows || box.width < 13 * letter) return false;
  long filled = 0;
  for (const auto& band : bands) {
    const auto dark = shadow(band, box.x, box.right(), false, letter * 3 / 4);
    filled += std::count(dark.begin(), dark.end(), 1);
  }
  return filled * 100 > 62L * box.width * long(bands.size());
}

/// In a title over two columns a gap between words may happen to stand above the gutter: it is hardly wider than its
/// letters are tall.
bool only_a_word_gap(const Marks& band, int x, int letter) {
  int left = -1, right = -1, tallest = 0;
  for (const auto& m : band) {
    if (m.box.x < x)
      left = std::max(left, m.box.right());
    else
      right = right < 0 ? m.box.x : std::min(right, m.box.x);
    if (m.box.height < 4 * letter) tallest = std::max(tallest, m.box.height);
  }
  return left >= 0 && right >= 0 && 10 * (right - left) < 13 * tallest;
}

/// The x at which bands[first..last] fall into two columns of running text; -1 when they do not.
int gutter(const std::vector<Marks>& bands, std::size_t first, std::size_t last, int letter,
           const std::vector<char>& dark, int x0) {
  for (std::size_t i = 0; i < dark.size();) {
    std::size_t end = i;
    while (end < dark.size() && !dark[end]) ++end;
    if (i > 0 && end < dark.size() && int(end - i) * 2 >= 3 * letter) {
      const int x = x0 + int(i + end) / 2;
      Marks left, right;
      bool word_gap = false;
      for (std::size_t b = first; b <= last && !word_gap; ++b) {
        word_gap = only_a_word_gap(bands[b], x, letter);
        for (const auto& m : bands[b]) (m.box.x < x ? left : right).push_back(m);
      }
      if (!word_gap && !left.empty() && !right.empty() && is_running_text(left, letter) &&
          is_running_text(right, letter))
        return x;
    }
    i = std::max(end, i + 1);
  }
  return -1;
}

void split(Marks marks, int letter, int depth, std::vector<Marks>& out) {
  if (marks.empty()) return;
  const Box box = extent(marks);
  auto bands = bands_of(std::move(marks));
  Marks plain;  // bands that stand in no columns, gathered until some do
  const auto flush = [&] {
    if (!plain.empty()) out.push_back(std::move(plain));
    plain.clear();
  };
  std::size_t i = 0;
  while (i < bands.size()) {
    // The longest run of bands from here on that shares a gutter.
    int at = -1;
    std::size_t last = i;
    if (depth < 6 && bands.size() <= kMostBands) {
      std::vector<char> dark(std::size_t(box.width), 0);
      std::vector<std::vector<char>> steps;
      for (std::size_t j = i; j < bands.size(); ++j) {
        const auto more = shadow(bands[j], box.x, box.right(), false);
        for (std::size_t k = 0; k < dark.size(); ++k) dark[k] |= more[k];
        steps.push_back(dark);
        const auto text0 = std::find(dark.begin(), dark.end(), 1),
                   text1 = std::find(dark.rbegin(), dark.rend(), 1).base();
        bool open = false;  // some gap left
        int run = 0;
        for (auto k = text0; k < text1 && !open; ++k) open = (run = *k ? 0 : run + 1) * 2 >= 3 * letter;
        if (!open) break;
      }
      for (std::size_t n = steps.size(); n-- > 0 && at < 0;)
        at = gutter(bands, i, last = i + n, letter, steps[n], box.x);
    }
    if (at < 0) {
      plain.insert(plain.end(), bands[i].begin(), bands[i].end());
      ++i;
      continue;
    }
    flush();
    Marks left, right;
    for (; i <= last; ++i)
      for (const auto& m : bands[i]) (m.box.x < at ? left : right).push_back(m);
    split(std::move(left), letter, depth + 1, out);
    split(std::move(right), letter, depth + 1, out);
  }
  flush();
}

}  // namespace

std::vector<std::vector<Mark>> find_blocks(std::vector<Mark> marks, int letter) {
  std::vector<Marks> out;
  split(std::move(marks), letter, 0, out);
  return out;
}

}  // namespace mtmd::page
