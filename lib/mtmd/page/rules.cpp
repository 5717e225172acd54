#include "mtmd/page/rules.h"

#include <cstdlib>

namespace mtmd::page {
namespace {

// Pixels along the line that are averaged: noise goes, the line stays. Upright, stems of letters in rows above each
// other must not grow together.
constexpr int kSmearLevel = 21, kSmearUpright = 7;
constexpr int kFaintest = 7;  // levels

/// The picture with its lines level: rows are `line`s, columns positions along them.
struct Turned {
  Ink& ink;
  bool level;
  int lines() const { return level ? ink.mask.height : ink.mask.width; }
  int length() const { return level ? ink.mask.width : ink.mask.height; }
  std::uint8_t& mask(int line, int i) const { return level ? ink.mask.row(line)[i] : ink.mask.row(i)[line]; }
  std::uint8_t& gray(int line, int i) const { return level ? ink.gray.row(line)[i] : ink.gray.row(i)[line]; }
  std::uint8_t paper(int line, int i) const { return level ? ink.paper_at(i, line) : ink.paper_at(line, i); }
};

/// Contrast to the paper, averaged along the lines.
Plane smeared(const Turned& t, int kernel) {
  Plane out(t.length(), t.lines());
  std::vector<int> contrast(std::size_t(t.length()) + std::size_t(kernel), 0);
  for (int line = 0; line < t.lines(); ++line) {
    for (int i = 0; i < t.length(); ++i)
      contrast[std::size_t(i + kernel / 2)] = std::max(0, t.paper(line, i) - t.gray(line, i));
    int sum = 0;
    for (int i = 0; i < kernel - 1; ++i) sum += contrast[std::size_t(i)];
    for (int i = 0; i < t.length(); ++i) {
      sum += contrast[std::size_t(i + kernel - 1)];
      out.row(line)[i] = std::uint8_t(sum / kernel);
      sum -= contrast[std::size_t(i)];
    }
  }
  return out;
}

/// A ruled line is dark nearly everywhere; a row of small letters with thin strokes has gaps.
bool is_solid(const Turned& t, const Plane& strength, int line, int begin, int end) {
  int dark = 0;
  for (int i = begin; i < end; ++i) dark += 5 * (t.paper(line, i) - t.gray(line, i)) >= 2 * strength.row(line)[i];
  return 100 * dark >= 85 * (end - begin);
}

}  // namespace

void remove_rules(Ink& ink, bool level, int letter) {
  const Turned t{ink, level};
  const int reach =
      std::max(2, letter * 3 / 10);  // a line is thinner than this either way; the body of small letters is not
  const int shortest = level ? std::max(40, 5 * letter) : std::max(80, 8 * letter);
  const Plane strength = smeared(t, level ? kSmearLevel : kSmearUpright);
  const auto is_line = [&](int line, int i) {
    const int s = strength.row(line)[i];
    return s >= kFaintest && 2 * strength.near(i, line - reach) < s && 2 * strength.near(i, line + reach) < s;
  };
  for (int line = 0; line < t.lines(); ++line)
    for (int i = 0; i < t.length();) {
      int end = i, strongest = 0;
      while (end < t.length() && is_line(line, end) && 2 * strength.row(line)[end] >= strongest)
        strongest = std::max(strongest, int(strength.row(line)[end++]));
      if (end - i >= shortest && is_solid(t, strength, line, i, end))
        for (int k = i; k < end; ++k) {
          const int above = line - reach, below = line + reach;
          const bool crossed = (above >= 0 && t.mask(above, k)) || (below < t.lines() && t.mask(below, k));
          for (int l = std::max(0, above + 1); l < std::min(t.lines(), below) && !crossed; ++l) {
            t.mask(l, k) = 0;
            t.gray(l, k) = std::max(t.gray(l, k), t.paper(l, k));
          }
        }
      i = std::max(end, i + 1);
    }
}

}  // namespace mtmd::page
