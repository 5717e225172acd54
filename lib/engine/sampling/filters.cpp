#include "engine/sampling/filters.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mtmd::sampling {
namespace {

constexpr std::size_t kFirstSorted = 128;  // most filters need no more of the order than this

bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// Sets weight = exp(logit - largest logit) and returns the sum.
double weigh(Candidates& candidates) {
  float largest = -std::numeric_limits<float>::infinity();
  for (const Candidate& c : candidates) largest = std::max(largest, c.logit);
  double sum = 0;
  for (Candidate& c : candidates) {
    // all of them banned: equally likely
    c.weight = std::isinf(largest) ? 1.0 : exp_negative(double{c.logit} - double{largest});
    sum += c.weight;
  }
  return sum;
}

/// Sorts as much of the front as is needed until `stop(candidate)`, called in order, says that it is the last one to
/// keep.
template <class Less, class Stop>
void keep_sorted_front(Candidates& candidates, Less less, Stop stop) {
  std::size_t sorted = 0;
  for (std::size_t chunk = kFirstSorted; sorted < candidates.size(); chunk *= 4) {
    const std::size_t end = std::min(candidates.size(), sorted + chunk);
    const auto from = candidates.begin() + static_cast<std::ptrdiff_t>(sorted);
    std::partial_sort(from, candidates.begin() + static_cast<std::ptrdiff_t>(end), candidates.end(), less);
    for (; sorted < end; ++sorted)
      if (stop(candidates[sorted])) return candidates.resize(sorted + 1);
  }
}

}  // namespace

double exp_negative(double x) noexcept {
  if (!(x > -745.0)) return 0.0;
  // x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts, so that r is exact to the last bits
  const double n = std::floor(x * 1.4426950408889634 + 0.5);
  const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  double term = 1.0, sum = 1.0;
  for (int i = 1; i <= 14; ++i) {
    term = term * r / i;
    sum += term;
  }
  return std::ldexp(sum, static_cast<int>(n));
}

void keep_top_k(Candidates& candidates, std::size_t k) {
  const std::size_t keep = std::min(std::max<std::size_t>(k, 1), candidates.size());
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(keep), candidates.end(),
                    likelier);
  candidates.resize(keep);
}

void keep_top_p(Candidates& candidates, double p) {
  const double enough = p * weigh(candidates);
  double sum = 0;
  keep_sorted_front(candidates, likelier, [&](const Candidate& c) { return (sum += c.weight) >= enough; });
}

void keep_min_p(Candidates& candidates, double share) {
  weigh(candidates);
  std::erase_if(candidates, [share](const Candidate& c) { return c.weight < share; });
}

void keep_typical(Candidates& candidates, double p) {
  const double total = weigh(candidates);
  float largest = -std::numeric_limits<float>::infinity();
  for (const Candidate& c : candidates) largest = std::max(largest, c.logit);
  if (std::isinf(largest)) return;
  // surprise - entropy = mean - (logit - largest), where mean = Σ p (logit - largest); log Z cancels
  double mean = 0;
  for (const Candidate& c : candidates)
    if (c.weight > 0) mean += c.weight * (double{c.logit} - double{largest});
  mean /= total;
  const auto strangeness = [mean, largest](const Candidate& c) {
    return std::fabs(double{c.logit} - double{largest} - mean);
  };
  const auto more_typical = [&](const Candidate& a, const Candidate& b) {
    const double x = strangeness(a), y = strangeness(b);
    return x != y ? x < y : a.token < b.token;
  };
  double sum = 0;
  keep_sorted_front(candidates, more_typical, [&](const Candidate& c) { return (sum += c.weight) > p * total; });
}

std::int32_t pick(Candidates& candidates, double temperature, double u) {
  float largest = -std::numeric_limits<float>::infinity();
  for (const Candidate& c : candidates) largest = std::max(largest, c.logit);
  double total = 0;
  for (Candidate& c : candidates) {
    c.weight = std::isinf(largest) ? 1.0 : exp_negative((double{c.logit} - double{largest}) / temperature);
    total += c.weight;
  }
  double rest = u * total;
  std::int32_t last = candidates.front().token;
  for (const Candidate& c : candidates) {
    if (c.weight <= 0) continue;
    last = c.token;
    rest -= c.weight;
    if (rest < 0) break;
  }
  return last;
}

}  // namespace mtmd::sampling
