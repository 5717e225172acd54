// Token stream and nesting guard of the two halves of the parser.
#pragma once

#include <fmt/core.h>

#include "engine/chat/ast.h"
#include "engine/chat/lexer.h"

namespace mtmd::chat {

class Tokens {
 public:
  Tokens(std::vector<Token> tokens, std::string_view name, int max_depth)
      : tokens_(std::move(tokens)), name_(name), max_depth_(max_depth) {}

  const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token next() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_.back(); }
  bool is(TokenKind kind) const { return peek().kind == kind; }
  bool is_op(std::string_view op, std::size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::op && peek(ahead).text == op;
  }
  bool is_name(std::string_view name, std::size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::name && peek(ahead).text == name;
  }
  bool skip_op(std::string_view op) { return is_op(op) && (next(), true); }
  bool skip_name(std::string_view name) { return is_name(name) && (next(), true); }
  void expect_op(std::string_view op) {
    if (!skip_op(op)) error(fmt::format("expected '{}', found {}", op, describe(peek())));
  }
  void expect(TokenKind kind, std::string_view what) {
    if (!is(kind)) error(fmt::format("expected {}, found {}", what, describe(peek())));
    next();
  }
  std::string expect_any_name(std::string_view what) {
    if (!is(TokenKind::name)) error(fmt::format("expected {}, found {}", what, describe(peek())));
    return next().text;
  }
  [[noreturn]] void error(std::string_view what) const { error_at(peek().at, what); }
  [[noreturn]] void error_at(Position at, std::string_view what) const { syntax_error(name_, at, what); }
  static std::string describe(const Token& t);

  std::size_t position() const { return at_; }
  /// Whether `name` was among the tokens from `first` to here.
  bool has_name(std::string_view name, std::size_t first) const;

  /// One level of nesting for as long as it lives.
  class Nested {
   public:
    explicit Nested(Tokens& t) : t_(t) {
      if (++t_.depth_ > t_.max_depth_) t_.error(fmt::format("nested deeper than {} levels", t_.max_depth_));
    }
    ~Nested() { --t_.depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;

   private:
    Tokens& t_;
  };
  int max_depth() const { return max_depth_; }

 private:
  std::vector<Token> tokens_;
  std::string_view name_;
  int max_depth_;
  int depth_ = 0;
  std::size_t at_ = 0;
};

/// Expressions, in Jinja's order of precedence.
class ExpressionParser {
 public:
  explicit ExpressionParser(Tokens& tokens) : t_(tokens) {}

  ExprPtr expression(bool with_condition = true);
  /// One expression, or a tuple when commas follow. `stop`: a name that ends it.
  ExprPtr tuple(bool with_condition = true);
  CallArgs call_args();                  ///< from '(' on
  ExprPtr filters_after(ExprPtr input);  ///< | f | g(…)
  ExprPtr one_filter(ExprPtr input);     ///< the current token is the filter's name
  ExprPtr primary_with_postfix();

 private:
  ExprPtr condition();
  ExprPtr logical_or();
  ExprPtr logical_and();
  ExprPtr logical_not();
  ExprPtr comparison();
  ExprPtr binary_chain(int level);
  ExprPtr unary(bool with_filter);
  ExprPtr primary();
  ExprPtr constant_or_name();
  ExprPtr parenthesised();
  ExprPtr list();
  ExprPtr dict();
  ExprPtr postfix(ExprPtr node);
  ExprPtr subscript(ExprPtr object);
  ExprPtr tests_and_filters(ExprPtr node);
  ExprPtr test(ExprPtr input);
  template <class Node>
  ExprPtr make(Position at, Node node);

  Tokens& t_;
};

}  // namespace mtmd::chat
