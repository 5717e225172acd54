#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/sampling/grammar.h"

namespace mtmd {
class Tokenizer;
}

namespace mtmd::grammar {

/// The pieces of a vocabulary in alphabetical order, so that what several begin with is followed once and a beginning
/// that does not fit rules out all of them.
class Vocabulary {
 public:
  explicit Vocabulary(const std::vector<std::string>& pieces);  ///< by token; an empty piece is never allowed
  explicit Vocabulary(const Tokenizer& tokenizer);              ///< end-of-generation tokens count as empty

  /// mask[token] = 1 where `state` allows the piece, else 0; mask is resized to the number of pieces. Throws
  /// Error(resource) as GrammarState does. Returns how many are allowed.
  std::size_t allowed(const GrammarState& state, std::vector<std::uint8_t>& mask) const;

 private:
  struct Entry {
    std::int32_t token;
    std::uint32_t begin, size;  ///< in bytes_
    std::uint32_t shared;       ///< bytes in common with the entry before
  };
  std::string bytes_;
  std::vector<Entry> entries_;
  std::size_t n_tokens_, longest_ = 0;
};

}  // namespace mtmd::grammar
