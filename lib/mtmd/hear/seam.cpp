#include "mtmd/hear/seam.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/tokenizer/unicode.h"

namespace mtmd {
namespace {

constexpr double kMostWordsPerSecond = 8;
constexpr double kDifferent = -0.75;  ///< a word of one text stands for another one, or for none, of the other
constexpr double kLeftOver = -0.5;    ///< a word behind the end or before the beginning of what is in common
constexpr double kAlike = 0.7;        ///< share of equal letters from which two words count as the same

/// A word, or a character of a script without spaces, with the punctuation around it.
struct Unit {
  std::size_t begin, end;          ///< bytes of the text
  std::vector<std::uint32_t> key;  ///< lower-case letters and digits
};

/// Thai and Lao, Burmese, Khmer, kana, Chinese.
bool stands_alone(std::uint32_t c) {
  constexpr std::array<std::array<std::uint32_t, 2>, 8> kScripts = {{{0x0E00, 0x0EFF},
                                                                     {0x1000, 0x109F},
                                                                     {0x1780, 0x17FF},
                                                                     {0x3040, 0x30FF},
                                                                     {0x3400, 0x4DBF},
                                                                     {0x4E00, 0x9FFF},
                                                                     {0xF900, 0xFAFF},
                                                                     {0x20000, 0x3FFFF}}};
  return std::ranges::any_of(kScripts, [c](const auto& range) { return c >= range[0] && c <= range[1]; });
}

bool counts(std::uint32_t c) {
  static const unicode::Set letters = [] {
    unicode::Set all = unicode::category("L");
    all.add(unicode::category("N"));
    all.add(unicode::category("M"));
    return all.normalised();
  }();
  return letters.contains_sorted(c);
}

std::vector<Unit> units_of(std::string_view text) {
  std::vector<Unit> units;
  bool open = false;  // the last unit may grow
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length, valid] = unicode::decode(text.data() + at, text.data() + text.size());
    const std::size_t next = at + length;
    if (unicode::white_space().contains(c)) {
      open = false;
    } else {
      const bool alone = stands_alone(c);
      if (!open || alone) units.push_back({at, next, {}});
      units.back().end = next;
      if (counts(c)) units.back().key.push_back(unicode::lower_case(c));
      open = !alone;
    }
    at = next;
  }
  // What is all punctuation belongs to the word before it.
  std::vector<Unit> words;
  for (Unit& u : units) {
    if (u.key.empty() && !words.empty())
      words.back().end = u.end;
    else if (!u.key.empty())
      words.push_back(std::move(u));
  }
  return words;
}

/// 1 for equal words, kAlike … 1 for similar ones, 0 for different ones: 1 - edit distance / longer word.
double likeness(const Unit& a, const Unit& b) {
  if (a.key == b.key) return 1;
  const std::size_t longer = std::max(a.key.size(), b.key.size()), shorter = std::min(a.key.size(), b.key.size());
  if (static_cast<double>(shorter) < kAlike * static_cast<double>(longer)) return 0;
  std::vector<std::size_t> row(b.key.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.key.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.key.size(); ++j) {
      const std::size_t change = diagonal + (a.key[i] != b.key[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, row[j + 1] + 1});
    }
  }
  const double alike = 1 - static_cast<double>(row.back()) / static_cast<double>(longer);
  return alike >= kAlike ? alike : 0;
}

enum class Step : std::uint8_t { start, both, only_first, only_second };

struct Cell {
  double score = 0;
  Step step = Step::start;
};

struct Pair {
  std::size_t first, second;
};

/// The best alignment that runs from near the beginning of b to near the end of a: its pairs of like words.
struct Alignment {
  double score = 0;
  std::vector<Pair> pairs;
  std::size_t left_over = 0;  ///< words of a behind it and of b before it
};

Alignment align(const std::vector<Unit>& a, const std::vector<Unit>& b) {
  const std::size_t columns = b.size() + 1;
  std::vector<Cell> cells((a.size() + 1) * columns);
  const auto at = [&](std::size_t i, std::size_t j) -> Cell& { return cells[i * columns + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i)
    for (std::size_t j = 0; j <= b.size(); ++j) {
      Cell& cell = at(i, j);
      cell = {kLeftOver * static_cast<double>(j), Step::start};
      const auto better = [&](double score, Step step) {
        if (score > cell.score) cell = {score, step};
      };
      if (i > 0 && j > 0) {
        const double alike = likeness(a[i - 1], b[j - 1]);
        better(at(i - 1, j - 1).score + (alike > 0 ? alike : kDifferent), Step::both);
      }
      if (i > 0) better(at(i - 1, j).score + kDifferent, Step::only_first);
      if (j > 0) better(at(i, j - 1).score + kDifferent, Step::only_second);
    }
  Alignment best;
  std::size_t end_i = 0, end_j = 0;
  for (std::size_t i = 0; i <= a.size(); ++i)
    for (std::size_t j = 0; j <= b.size(); ++j)
      if (const double score = at(i, j).score + kLeftOver * static_cast<double>(a.size() - i); score > best.score)
        best.score = score, end_i = i, end_j = j;
  best.left_over = a.size() - end_i;
  while (at(end_i, end_j).step != Step::start) {
    switch (at(end_i, end_j).step) {
      case Step::both:
        --end_i, --end_j;
        if (likeness(a[end_i], b[end_j]) > 0) best.pairs.push_back({end_i, end_j});
        break;
      case Step::only_first:
        --end_i;
        break;
      case Step::only_second:
        --end_j;
        break;
      case Step::start:
        break;
    }
  }
  best.left_over += end_j;
  std::ranges::reverse(best.pairs);
  return best;
}

}  // namespace

Seam find_seam(std::string_view first, std::string_view second, double overlap_seconds) {
  const Seam nothing{first.size(), 0, 0};
  if (overlap_seconds <= 0) return nothing;
  std::vector<Unit> a = units_of(first), b = units_of(second);
  const auto most = static_cast<std::size_t>(std::ceil(std::min(overlap_seconds, 60.0) * kMostWordsPerSecond)) + 2;
  if (a.size() > most) a.erase(a.begin(), a.end() - static_cast<std::ptrdiff_t>(most));
  if (b.size() > most) b.resize(most);
  const Alignment best = align(a, b);
  // One common word is a coincidence unless it is the last one here and the first one there.
  if (best.pairs.empty() || best.score < 0.9 || (best.pairs.size() == 1 && best.left_over > 0)) return nothing;
  const Pair middle = best.pairs[(best.pairs.size() - 1) / 2];
  Seam seam{a[middle.first].end, b[middle.second].end, static_cast<int>(best.pairs.size())};
  if (middle.first + 1 == a.size()) {  // the last word of the first text may be half of one
    seam.keep = middle.first > 0 ? a[middle.first - 1].end : a[0].begin;
    seam.skip = b[middle.second].begin;
  }
  return seam;
}

}  // namespace mtmd
