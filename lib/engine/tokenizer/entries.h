// The entries of a vocabulary that a text begins with.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "engine/tokenizer/vocabulary.h"

namespace mtmd {

/// Entries in order of their bytes: those that begin with what was read so far are a range, which each further byte
/// narrows. Refers to the vocabulary.
class Entries {
 public:
  /// `wanted(token)`: take this one.
  template <class F>
  Entries(const Vocabulary& vocabulary, F&& wanted) : texts_(vocabulary.texts) {
    for (Token t = 0; t < vocabulary.size(); ++t)
      if (!texts_[t].empty() && wanted(t)) sorted_.push_back(t);
    std::stable_sort(sorted_.begin(), sorted_.end(), [&](Token a, Token b) { return texts_[a] < texts_[b]; });
  }

  /// `found(token, length)` for each entry that `text` begins with, shortest first; the last of equal ones.
  template <class F>
  void prefixes(std::string_view text, F&& found) const {
    auto first = sorted_.begin(), last = sorted_.end();
    for (std::size_t n = 0; n < text.size(); ++n) {
      const auto byte = [this, n](Token t) { return static_cast<unsigned char>(texts_[t][n]); };
      const auto wanted = static_cast<unsigned char>(text[n]);
      first = std::partition_point(first, last, [&](Token t) { return byte(t) < wanted; });
      last = std::partition_point(first, last, [&](Token t) { return byte(t) == wanted; });
      const auto longer = std::partition_point(first, last, [&](Token t) { return texts_[t].size() == n + 1; });
      if (longer != first) found(*std::prev(longer), n + 1);
      first = longer;
      if (first == last) return;
    }
  }

 private:
  const std::vector<std::string_view>& texts_;
  std::vector<Token> sorted_;
};

}  // namespace mtmd
