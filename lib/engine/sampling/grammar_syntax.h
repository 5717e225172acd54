// The syntax tree of a GBNF text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mtmd::grammar {

struct Position {
  int line = 1, column = 1;  ///< column: in characters
};

struct Range {
  std::uint32_t first, last;  ///< code points, both included
};

struct Expression {
  enum class Kind { literal, characters, rule, sequence, choice, repeat };
  static constexpr int kForever = -1;
  Kind kind = Kind::sequence;
  std::string text = {};               ///< literal: UTF-8
  std::vector<Range> ranges = {};      ///< characters: sorted, apart, without surrogates
  std::uint32_t rule = 0;              ///< rule: index into Syntax::rules
  int min = 0, max = 0;                ///< repeat
  std::vector<Expression> parts = {};  ///< sequence, choice; repeat: one
};

struct SyntaxRule {
  std::string name;
  std::size_t offset = 0;  ///< into the text: its definition, else its first use
  bool defined = false;
  Expression body = {};
};

struct Syntax {
  std::vector<SyntaxRule> rules;
  std::uint32_t root = 0;
};

/// Throws Error(usage) with line and column.
Syntax parse(std::string_view text);

/// Sorted, merged, without surrogates; `negated`: all other characters.
std::vector<Range> normalized(std::vector<Range> ranges, bool negated);

}  // namespace mtmd::grammar
