// The regular expressions in which models publish their pre-tokenizers, parsed into a small program.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/tokenizer/unicode.h"

namespace mtmd {

/// One step of a matching program. Threads run in order of preference (Perl's rules: the first alternative, the longest
/// repetition), so that the first thread to reach `match` decides.
struct Instruction {
  enum class Kind : std::uint8_t { set, split, ahead, match };
  Kind kind = Kind::match;
  bool negative = false;              ///< ahead: the next character must not be in the set (the end of the text passes)
  std::uint16_t set = 0;              ///< set, ahead: index into Program::sets
  std::uint16_t next = 0;             ///< set, ahead
  std::vector<std::uint16_t> ways{};  ///< split, most preferred first
};

struct Program {
  std::vector<unicode::Set> sets;
  std::vector<Instruction> code;
  std::uint16_t start = 0;
};

/// Understands literals, escapes (\r \n \t \s \S \d \p{..} \P{..} and escaped punctuation), [..] and [^..] with ranges and &&,
/// groups, |, the greedy quantifiers ? * + {n} {n,m} {n,}, lookahead at one character (?=[..]) (?!\S), and $ (the very
/// end). Throws Error(internal) for anything else: the expressions are ours, not the user's.
Program parse_pattern(std::string_view expression);

}  // namespace mtmd
