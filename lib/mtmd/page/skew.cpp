#include "mtmd/page/skew.h"

#include <algorithm>
#include <cmath>

namespace mtmd::page {
namespace {

constexpr double kSteepest = 0.12;  // about 7 degrees
constexpr std::size_t kEnough = 4000;

/// The more the feet of the letters fall into few rows, the higher: the sum of squares of their counts.
double alignment(const std::vector<Box>& letters, double slope, double bin, int x0, int y0, std::vector<int>& count) {
  std::fill(count.begin(), count.end(), 0);
  for (const auto& m : letters) {
    const double y = m.bottom() - y0 - slope * (m.x + m.width / 2.0 - x0);
    // Shared between the two nearest bins, so that the score does not jump.
    const double at = std::clamp(y / bin + double(count.size()) / 4, 0.0, double(count.size()) - 2.0);
    const int i = int(at);
    const int part = int((at - i) * 16);
    count[std::size_t(i)] += 16 - part;
    count[std::size_t(i) + 1] += part;
  }
  double sum = 0;
  for (const int n : count) sum += double(n) * n;
  return sum;
}

}  // namespace

double find_slope(const std::vector<Mark>& marks, int letter) {
  std::vector<Box> letters;
  for (const auto& m : marks)
    if (2 * m.box.height >= letter && m.box.height <= 3 * letter && m.box.width <= 5 * letter) letters.push_back(m.box);
  if (letters.size() < 6) return 0;
  if (letters.size() > kEnough) {
    const std::size_t step = letters.size() / kEnough + 1;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < letters.size(); i += step) letters[kept++] = letters[i];
    letters.resize(kept);
  }
  Box all = letters.front();
  for (const auto& m : letters) all = around(all, m);
  if (all.width < 5 * letter) return 0;
  const double bin = std::max(1.0, letter / 6.0), step = bin / all.width;
  // Twice the height: a slope shifts the feet by up to kSteepest * width.
  std::vector<int> count(std::size_t((all.height + kSteepest * all.width) / bin * 2) + 8);
  double best = 0, best_score = alignment(letters, 0, bin, all.x, all.y, count);
  const double level = best_score;
  for (double slope = -kSteepest; slope <= kSteepest; slope += step) {
    const double score = alignment(letters, slope, bin, all.x, all.y, count);
    if (score > best_score) {
      best_score = score;
      best = slope;
    }
  }
  for (const double slope : {best - step / 2, best + step / 2}) {
    const double score = alignment(letters, slope, bin, all.x, all.y, count);
    if (score > best_score) {
      best_score = score;
      best = slope;
    }
  }
  const bool worth_it = std::abs(best) * all.width > letter / 4.0 && best_score > 1.1 * level;
  return worth_it ? best : 0;
}

}  // namespace mtmd::page
