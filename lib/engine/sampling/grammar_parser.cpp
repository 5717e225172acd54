#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_map>

#include "engine/base/error.h"
#include "engine/sampling/grammar.h"
#include "engine/sampling/grammar_syntax.h"

namespace mtmd::grammar {
namespace {

constexpr std::uint32_t kLastCharacter = 0x10FFFF;
constexpr int kMaxMarks = 16;  ///< repetition marks on one item

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_'; }
bool is_surrogate(std::uint32_t c) { return c >= 0xD800 && c <= 0xDFFF; }

void append_utf8(std::string& out, std::uint32_t c) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    tail(12), tail(6), tail(0);
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Syntax run() {
    for (skip(true); !at_end(); skip(true)) rule();
    const auto root = names_.find("root");
    if (root == names_.end() || !syntax_.rules[root->second].defined)
      fail(ErrorCategory::usage, "grammar: there is no rule named root; add one, as in: root ::= \"yes\" | \"no\"");
    for (const SyntaxRule& r : syntax_.rules)
      if (!r.defined) error(position(r.offset), "the rule {} is used here but defined nowhere", r.name);
    syntax_.root = root->second;
    return std::move(syntax_);
  }

 private:
  template <class... Args>
  [[noreturn]] void error(Position at, fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCategory::usage, "grammar: line {}, column {}: {}", at.line, at.column,
         fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void expected(const char* what) const {
    if (at_end()) error(here(), "expected {}, found the end of the grammar", what);
    if (text_[at_] == '\n' || text_[at_] == '\r') error(here(), "expected {}, found the end of the line", what);
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte < 0x20 || byte > 0x7E) error(here(), "expected {}, found the byte 0x{:02X}", what, byte);
    error(here(), "expected {}, found {}", what, text_[at_]);
  }

  bool at_end() const { return at_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  Position position(std::size_t at) const {
    Position p;
    for (std::size_t i = 0; i < at && i < text_.size(); ++i) {
      if (text_[i] == '\n')
        ++p.line, p.column = 1;
      else if ((text_[i] & 0xC0) != 0x80)
        ++p.column;
    }
    return p;
  }
  Position here() const { return position(at_); }

  /// White space and comments; ends of lines only if `lines`.
  void skip(bool lines) {
    while (!at_end()) {
      const char c = text_[at_];
      if (c == '#') {
        while (!at_end() && text_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string_view name(const char* what) {
    const std::size_t begin = at_;
    while (!at_end() && is_name(text_[at_])) ++at_;
    if (at_ == begin) expected(what);
    return text_.substr(begin, at_ - begin);
  }

  std::uint32_t index_of(std::string_view name, std::size_t at) {
    const auto [found, added] = names_.try_emplace(std::string(name), static_cast<std::uint32_t>(syntax_.rules.size()));
    if (added) syntax_.rules.push_back({.name = std::string(name), .offset = at});
    return found->second;
  }

  void rule() {
    const std::size_t begin = at_;
    const std::uint32_t index = index_of(name("the name of a rule"), begin);
    if (syntax_.rules[index].defined)
      error(position(begin), "the rule {} was already defined in line {}", syntax_.rules[index].name,
            position(syntax_.rules[index].offset).line);
    syntax_.rules[index].offset = begin;
    syntax_.rules[index].defined = true;
    skip(false);
    if (text_.substr(at_, 3) != "::=") expected("::= after the name of the rule");
    at_ += 3;
    skip(true);
    Expression body = choice(0);
    syntax_.rules[index].body = std::move(body);
    if (!at_end() && peek() != '\n' && peek() != '\r') expected("an item, | or the end of the line");
  }

  /// A | on the next line continues the rule.
  bool next_alternative(bool nested) {
    const std::size_t back = at_;
    skip(true);
    if (take('|')) {
      skip(true);
      return true;
    }
    if (!nested) at_ = back;
    return false;
  }

  Expression choice(int depth) {
    Expression all{.kind = Expression::Kind::choice};
    do all.parts.push_back(sequence(depth));
    while (next_alternative(depth > 0));
    return all.parts.size() == 1 ? std::move(all.parts.front()) : std::move(all);
  }

  Expression sequence(int depth) {
    Expression all{.kind = Expression::Kind::sequence};
    for (skip(depth > 0); !at_end(); skip(depth > 0)) {
      const char c = peek();
      if (c != '"' && c != '[' && c != '(' && c != '.' && !is_name(c)) break;
      all.parts.push_back(repeated(item(depth)));
    }
    return all;
  }

  Expression item(int depth) {
    const std::size_t begin = at_;
    if (take('"')) return literal(begin);
    if (take('[')) return characters(begin);
    if (take('.')) return {.kind = Expression::Kind::characters, .ranges = normalized({}, true)};
    if (take('(')) {
      if (depth >= Grammar::kMaxGroups)
        error(position(begin), "groups are nested deeper than {}; use rules instead", Grammar::kMaxGroups);
      Expression inside = choice(depth + 1);
      skip(true);
      if (!take(')')) expected("an item, | or ) for the group");
      return inside;
    }
    const std::uint32_t index = index_of(name("an item"), begin);
    return {.kind = Expression::Kind::rule, .rule = index};
  }

  Expression repeated(Expression what) {
    for (int marks = 0;; ++marks) {
      int min = 0, max = Expression::kForever;
      const std::size_t begin = at_;
      if (take('+')) {
        min = 1;
      } else if (take('?')) {
        max = 1;
      } else if (take('{')) {
        counts(begin, min, max);
      } else if (!take('*')) {
        return what;
      }
      if (marks >= kMaxMarks) error(position(begin), "more than {} repetition marks on one item", kMaxMarks);
      Expression outer{.kind = Expression::Kind::repeat, .min = min, .max = max};
      outer.parts.push_back(std::move(what));
      what = std::move(outer);
    }
  }

  void counts(std::size_t begin, int& min, int& max) {
    skip(false);
    min = max = count();
    skip(false);
    if (take(',')) {
      skip(false);
      max = is_digit(peek()) ? count() : Expression::kForever;
      skip(false);
    }
    if (!take('}')) expected("} after the repetition counts");
    if (max != Expression::kForever && max < min)
      error(position(begin), "{{{},{}}}: the counts are the wrong way round", min, max);
  }

  int count() {
    const std::size_t begin = at_;
    if (!is_digit(peek())) expected("a repetition count");
    long value = 0;
    while (is_digit(peek())) {
      value = value * 10 + (text_[at_++] - '0');
      if (value > Grammar::kMaxRepetitions)
        error(position(begin), "the repetition count is above the limit of {}", Grammar::kMaxRepetitions);
    }
    return static_cast<int>(value);
  }

  Expression literal(std::size_t begin) {
    Expression e{.kind = Expression::Kind::literal};
    while (!take('"')) {
      if (at_end()) error(position(begin), "the closing \" of this text is missing");
      const std::size_t at = at_;
      const std::uint32_t c = character();
      if (is_surrogate(c)) error(position(at), "U+{:04X} is half of a surrogate pair, not a character", c);
      append_utf8(e.text, c);
    }
    return e;
  }

  Expression characters(std::size_t begin) {
    const bool negated = take('^');
    std::vector<Range> ranges;
    while (!take(']')) {
      if (at_end()) error(position(begin), "the closing ] of this character class is missing");
      const std::size_t at = at_;
      Range r{character(), 0};
      r.last = r.first;
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size()) {
        ++at_;
        r.last = character();
        if (r.last < r.first) error(position(at), "the range of the character class runs backwards");
      }
      ranges.push_back(r);
    }
    Expression e{.kind = Expression::Kind::characters, .ranges = normalized(std::move(ranges), negated)};
    if (e.ranges.empty()) error(position(begin), "this character class matches no character");
    return e;
  }

  std::uint32_t character() {
    const std::size_t begin = at_;
    if (take('\\')) return escaped(begin);
    const auto lead = static_cast<unsigned char>(text_[at_++]);
    if (lead < 0x80) return lead;
    const int n = lead >= 0xF0 && lead < 0xF8 ? 3 : lead >= 0xE0 ? 2 : 1;
    std::uint32_t c = lead & (0x3F >> n);
    int got = 0;
    for (; got < n && (static_cast<unsigned char>(peek()) & 0xC0) == 0x80; ++got) c = (c << 6) | (text_[at_++] & 0x3F);
    constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (got < n || lead < 0xC2 || lead > 0xF4 || c < kLeast[n] || c > kLastCharacter || is_surrogate(c))
      error(position(begin), "the grammar is not UTF-8 here (byte 0x{:02X})", lead);
    return c;
  }

  std::uint32_t escaped(std::size_t begin) {
    const char c = peek();
    ++at_;
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return hex(begin, 2);
      case 'u':
        return hex(begin, 4);
      case 'U':
        return hex(begin, 8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<unsigned char>(c);
      default:
        error(position(begin),
              "unknown escape; known are \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\xHH \\uHHHH \\UHHHHHHHH");
    }
  }

  std::uint32_t hex(std::size_t begin, int digits) {
    std::uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const char c = peek();
      const int digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) error(position(begin), "this escape needs {} hexadecimal digits", digits);
      value = value << 4 | static_cast<std::uint32_t>(digit);
      ++at_;
    }
    if (value > kLastCharacter) error(position(begin), "U+{:X} is above the last character, U+10FFFF", value);
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Syntax syntax_;
  std::unordered_map<std::string, std::uint32_t> names_;
};

}  // namespace

std::vector<Range> normalized(std::vector<Range> ranges, bool negated) {
  std::sort(ranges.begin(), ranges.end(), [](Range a, Range b) { return a.first < b.first; });
  std::vector<Range> merged;
  for (const Range& r : ranges) {
    if (!merged.empty() && r.first <= merged.back().last + 1)
      merged.back().last = std::max(merged.back().last, r.last);
    else
      merged.push_back(r);
  }
  if (negated) {
    std::vector<Range> others;
    std::uint32_t from = 0;
    for (const Range& r : merged) {
      if (r.first > from) others.push_back({from, r.first - 1});
      from = r.last + 1;
    }
    if (from <= kLastCharacter) others.push_back({from, kLastCharacter});
    merged = std::move(others);
  }
  std::vector<Range> result;
  for (const Range& r : merged) {
    if (r.first < 0xD800) result.push_back({r.first, std::min(r.last, 0xD7FFu)});
    if (r.last > 0xDFFF) result.push_back({std::max(r.first, 0xE000u), r.last});
  }
  return result;
}

Syntax parse(std::string_view text) {
  if (text.size() > Grammar::kMaxText)
    fail(ErrorCategory::usage, "grammar: {} bytes are more than the limit of {}", text.size(), Grammar::kMaxText);
  return Parser(text).run();
}

}  // namespace mtmd::grammar
