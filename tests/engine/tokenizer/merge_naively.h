// Byte-pair encoding by its definition, for comparison.
#pragma once

#include <string>
#include <vector>

namespace mtmd::testing {

/// Merges one word: again and again the best pair of neighbours, the leftmost among equals. `rank(left, right)`: the
/// lowest goes first; 1e300 is no merge.
template <class Rank>
std::vector<std::string> merge_naively(std::vector<std::string> parts, Rank rank) {
  for (;;) {
    double best = 1e300;
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const double r = rank(parts[i], parts[i + 1]);
      if (r < best) {
        best = r;
        at = i;
      }
    }
    if (best == 1e300) return parts;
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

}  // namespace mtmd::testing
