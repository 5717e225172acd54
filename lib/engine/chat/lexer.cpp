#include "engine/chat/lexer.h"

#include <algorithm>
#include <charconv>

#include "engine/base/error.h"
#include "engine/chat/utf8.h"

namespace mtmd::chat {

void syntax_error(std::string_view name, Position at, std::string_view what) {
  fail(ErrorCategory::model, "{}: line {}, column {}: {}", name, at.line, at.column, what);
}

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// \r\n and \r become \n; one newline at the end is dropped.
std::string normalise_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    out += source[i] == '\r' ? '\n' : source[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string source, std::string_view name) : source_(std::move(source)), name_(name) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) next_data();
    push(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  bool looking_at(std::string_view s) const { return std::string_view(source_).substr(at_).starts_with(s); }
  Position position();
  [[noreturn]] void error(std::string_view what) { syntax_error(name_, position(), what); }
  Token& push(TokenKind kind, std::string text) {
    tokens_.push_back({.kind = kind, .text = std::move(text), .at = position()});
    return tokens_.back();
  }
  void skip_space() {
    while (at_ < source_.size() && is_space(code_point_at(source_, at_).value))
      at_ += code_point_at(source_, at_).n_bytes;
  }

  void next_data();
  void emit_data(std::size_t end, char sign, bool print);
  void comment();
  bool raw_block();
  void expression(TokenKind begin, TokenKind end, std::string_view closing);
  bool try_close(TokenKind end, std::string_view closing);
  void expression_token();
  void number();
  bool prefixed_integer();
  void string(char quote);
  void escape(std::string& out);
  void op();

  std::string source_;
  std::string_view name_;
  std::vector<Token> tokens_;
  std::vector<char> brackets_;  // closing ones that are due
  std::size_t at_ = 0;
  bool line_starting_ = true;  // nothing but trimmed white space stands before at_ on its line
  std::size_t counted_ = 0;    // position() has counted up to here
  Position counted_position_{1, 1};
};

Position Lexer::position() {
  if (at_ < counted_) counted_ = 0, counted_position_ = {1, 1};
  while (counted_ < at_) {
    if (source_[counted_] == '\n') {
      ++counted_position_.line;
      counted_position_.column = 0;
    }
    counted_ += std::min(code_point_at(source_, counted_).n_bytes, at_ - counted_);
    ++counted_position_.column;
  }
  return counted_position_;
}

/// Text up to the next `{{`, `{%` or `{#`, and that construct.
void Lexer::next_data() {
  std::size_t open = at_;
  for (;; ++open) {
    open = source_.find('{', open);
    if (open == std::string::npos || open + 1 >= source_.size()) {
      emit_data(source_.size(), '+', true);
      at_ = source_.size();
      return;
    }
    const char c = source_[open + 1];
    if (c == '{' || c == '%' || c == '#') break;
  }
  const char kind = source_[open + 1];
  const char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
  emit_data(open, sign, kind == '{');
  at_ = open;
  if (kind == '#') return comment();
  if (kind == '%' && raw_block()) return;
  const bool block = kind == '%';
  push(block ? TokenKind::block_begin : TokenKind::print_begin, "");
  // `{{+` is no strip sign for prints: there the plus belongs to the expression.
  at_ += sign == '-' || (block && sign == '+') ? 3 : 2;
  expression(TokenKind::block_begin, block ? TokenKind::block_end : TokenKind::print_end, block ? "%}" : "}}");
}

/// The text from at_ to `end`, stripped on its right as the construct that follows asks.
void Lexer::emit_data(std::size_t end, char sign, bool print) {
  std::string_view text = std::string_view(source_).substr(at_, end - at_);
  if (sign == '-') {
    text = strip(text, false, true);
  } else if (sign != '+' && !print) {
    const std::size_t newline = text.rfind('\n');
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    if ((line > 0 || line_starting_) && strip(text.substr(line), true, false).empty()) text = text.substr(0, line);
  }
  if (!text.empty()) push(TokenKind::text, std::string(text));
}

void Lexer::comment() {
  const std::size_t close = source_.find("#}", at_ + 2);
  if (close == std::string::npos) error("the comment that begins here has no '#}'");
  const char sign = close > at_ + 2 ? source_[close - 1] : '\0';
  at_ = close + 2;
  line_starting_ = false;
  if (sign == '-') {
    skip_space();
    line_starting_ = source_[at_ - 1] == '\n';
  } else if (sign != '+' && looking_at("\n")) {
    ++at_;
    line_starting_ = true;
  }
}

/// `{% raw %} … {% endraw %}`: false when this is another block.
bool Lexer::raw_block() {
  const std::size_t start = at_;
  const auto keyword = [this](std::string_view word) {  // after `{%`: sign, the word, sign
    at_ += 2;
    if (looking_at("-") || looking_at("+")) ++at_;
    skip_space();
    if (!looking_at(word)) return false;
    at_ += word.size();
    skip_space();
    return looking_at("%}") || looking_at("-%}") || looking_at("+%}");
  };
  if (!keyword("raw")) {
    at_ = start;
    return false;
  }
  const bool strip_left = looking_at("-");
  at_ += looking_at("%}") ? 2 : 3;
  if (strip_left) skip_space();
  line_starting_ = source_[at_ - 1] == '\n';
  const std::size_t body = at_;
  for (std::size_t open = source_.find("{%", at_); open != std::string::npos; open = source_.find("{%", open + 2)) {
    at_ = open;
    const char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
    if (!keyword("endraw")) continue;
    const std::size_t close = at_;
    at_ = body;
    emit_data(open, sign, false);
    at_ = close;
    try_close(TokenKind::end, "%}");
    return true;
  }
  at_ = start;
  error("the raw block that begins here has no '{% endraw %}'");
}

/// The end of a block or print at at_, with the white space that it swallows. TokenKind::end: no token is made.
bool Lexer::try_close(TokenKind end, std::string_view closing) {
  const bool block = closing == "%}";
  const bool minus = looking_at("-") && std::string_view(source_).substr(at_ + 1).starts_with(closing);
  const bool plus = block && looking_at("+") && std::string_view(source_).substr(at_ + 1).starts_with(closing);
  if (!minus && !plus && !looking_at(closing)) return false;
  if (end != TokenKind::end) push(end, "");
  at_ += minus || plus ? 3 : 2;
  line_starting_ = false;
  if (minus) {
    skip_space();
    line_starting_ = source_[at_ - 1] == '\n';
  } else if (block && !plus && looking_at("\n")) {
    ++at_;
    line_starting_ = true;
  }
  return true;
}

void Lexer::expression(TokenKind, TokenKind end, std::string_view closing) {
  const Position begin = tokens_.back().at;
  brackets_.clear();
  for (;;) {
    skip_space();
    if (at_ >= source_.size()) {
      syntax_error(name_, begin,
                   fmt::format("the '{}' that begins here has no '{}'", closing == "%}" ? "{%" : "{{", closing));
    }
    if (brackets_.empty() && try_close(end, closing)) return;
    expression_token();
  }
}

void Lexer::expression_token() {
  const char c = source_[at_];
  if (is_digit(c)) return number();
  if (c == '"' || c == '\'') return string(c);
  if (is_name_char(c)) {
    std::size_t end = at_;
    while (end < source_.size() && is_name_char(source_[end])) ++end;
    push(TokenKind::name, source_.substr(at_, end - at_));
    at_ = end;
    return;
  }
  op();
}

/// 0x1f, 0o17, 0b11
bool Lexer::prefixed_integer() {
  if (source_[at_] != '0' || at_ + 2 >= source_.size()) return false;
  const char kind = source_[at_ + 1];
  const int base = kind == 'x' || kind == 'X'   ? 16
                   : kind == 'o' || kind == 'O' ? 8
                   : kind == 'b' || kind == 'B' ? 2
                                                : 0;
  if (!base) return false;
  std::int64_t v = 0;
  const auto r = std::from_chars(source_.data() + at_ + 2, source_.data() + source_.size(), v, base);
  if (r.ec != std::errc()) error("a number that is too large or has no digits");
  push(TokenKind::integer, "").integer = v;
  at_ = static_cast<std::size_t>(r.ptr - source_.data());
  return true;
}

void Lexer::number() {
  if (prefixed_integer()) return;
  std::string digits;
  std::size_t i = at_;
  const auto take_digits = [&] {
    while (i < source_.size() &&
           (is_digit(source_[i]) || (source_[i] == '_' && i + 1 < source_.size() && is_digit(source_[i + 1])))) {
      if (source_[i] != '_') digits += source_[i];
      ++i;
    }
  };
  const auto digit_at = [this](std::size_t k) { return k < source_.size() && is_digit(source_[k]); };
  take_digits();
  bool real = false;
  // `x.0.1` are two subscripts, not a fraction
  const bool subscript = !tokens_.empty() && tokens_.back().kind == TokenKind::op && tokens_.back().text == ".";
  if (!subscript && i < source_.size() && source_[i] == '.' && digit_at(i + 1)) {
    real = true;
    digits += source_[i++];
    take_digits();
  }
  if (i < source_.size() && (source_[i] == 'e' || source_[i] == 'E')) {
    const bool sign = i + 1 < source_.size() && (source_[i + 1] == '+' || source_[i + 1] == '-');
    if (digit_at(i + (sign ? 2 : 1))) {
      real = true;
      digits += 'e';
      ++i;
      if (sign) digits += source_[i++];
      take_digits();
    }
  }
  Token& t = push(real ? TokenKind::real : TokenKind::integer, digits);
  const char *first = digits.data(), *last = first + digits.size();
  const auto result = real ? std::from_chars(first, last, t.real) : std::from_chars(first, last, t.integer);
  if (result.ec != std::errc()) error(fmt::format("the number {} is out of range", digits));
  at_ = i;
}

void Lexer::string(char quote) {
  const Position begin = position();
  std::string out;
  std::size_t plain = ++at_;  // start of what is copied as it stands
  for (;; ++at_) {
    if (at_ >= source_.size()) syntax_error(name_, begin, "the string that begins here is not closed");
    const char c = source_[at_];
    if (c != quote && c != '\\') continue;
    out.append(source_, plain, at_ - plain);
    if (c == quote) break;
    escape(out);
    plain = at_ + 1;
  }
  ++at_;
  tokens_.push_back({.kind = TokenKind::string, .text = std::move(out), .at = begin});
}

/// at_ is on the backslash; leaves it on the last character of the escape. Python's escapes; unknown ones stay as they
/// are.
void Lexer::escape(std::string& out) {
  static constexpr std::string_view names = "abfnrtv\\'\"", values = "\a\b\f\n\r\t\v\\'\"";
  if (++at_ >= source_.size()) return;
  const char c = source_[at_];
  if (c == '\n') return;
  if (const auto k = names.find(c); k != std::string_view::npos) {
    out += values[k];
    return;
  }
  const std::size_t n_hex = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  const bool octal = c >= '0' && c <= '7';
  if (!n_hex && !octal) {
    out += '\\';
    out += c;
    return;
  }
  std::uint32_t v = 0;
  const char* first = source_.data() + at_ + (octal ? 0 : 1);
  const char* const end = source_.data() + source_.size();
  const char* last = std::min(first + (octal ? 3 : n_hex), end);
  const auto r = std::from_chars(first, last, v, octal ? 8 : 16);
  const bool complete = octal || (r.ec == std::errc() && r.ptr == first + n_hex);
  if (!complete || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
    error("an escape sequence that stands for no character");
  append_code_point(out, static_cast<std::int32_t>(v));
  at_ = static_cast<std::size_t>(r.ptr - source_.data()) - 1;
}

void Lexer::op() {
  static constexpr std::string_view operators[] = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "*",
                                                   "/",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                   ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
  for (const std::string_view o : operators) {
    if (!looking_at(o)) continue;
    const char c = o[0];
    if (c == '(' || c == '[' || c == '{') brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty()) error(fmt::format("unexpected '{}'", c));
      if (brackets_.back() != c) error(fmt::format("unexpected '{}', expected '{}'", c, brackets_.back()));
      brackets_.pop_back();
    }
    push(TokenKind::op, std::string(o));
    at_ += o.size();
    return;
  }
  error(fmt::format("unexpected character '{}'", source_.substr(at_, code_point_at(source_, at_).n_bytes)));
}

}  // namespace

std::vector<Token> tokenize(std::string_view source, std::string_view name) {
  return Lexer(normalise_newlines(source), name).run();
}

}  // namespace mtmd::chat
