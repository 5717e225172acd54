#include "engine/chat/parser.h"

#include <algorithm>

#include "engine/chat/parser_base.h"

namespace mtmd::chat {
namespace {

class TemplateParser {
 public:
  TemplateParser(std::vector<Token> tokens, std::string_view name, int max_depth)
      : t_(std::move(tokens), name, max_depth), e_(t_) {}

  Body run() { return body({}); }

 private:
  using Ends = std::initializer_list<std::string_view>;
  Body body(Ends ends);
  Stmt statement();
  Stmt if_block(Position at);
  Stmt for_block(Position at);
  Stmt set(Position at);
  Stmt macro(Position at);
  Stmt call_block(Position at);
  Stmt filter_block(Position at);
  Stmt with_block(Position at);
  Target target(bool may_be_attribute);
  std::vector<Parameter> parameters();
  std::vector<ExprPtr> block_filters();
  Body block_body(std::string_view end);
  void end_block() { t_.expect(TokenKind::block_end, "'%}'"); }

  Tokens t_;
  ExpressionParser e_;
  int loops_ = 0;  // for blocks around the current statement, within this macro
};

/// Statements up to a block whose keyword is one of `ends`; that keyword is the next token then. No ends: to the end.
Body TemplateParser::body(Ends ends) {
  const Tokens::Nested nested(t_);
  Body out;
  for (;;) {
    const Position at = t_.peek().at;
    switch (t_.peek().kind) {
      case TokenKind::end:
        if (ends.size()) t_.error(fmt::format("the template ends, but '{{% {} %}}' is missing", *(ends.end() - 1)));
        return out;
      case TokenKind::text:
        out.push_back({at, TextStmt{t_.next().text}});
        break;
      case TokenKind::print_begin: {
        t_.next();
        out.push_back({at, PrintStmt{e_.tuple()}});
        t_.expect(TokenKind::print_end, "'}}'");
        break;
      }
      case TokenKind::block_begin:
        t_.next();
        if (std::any_of(ends.begin(), ends.end(), [this](std::string_view end) { return t_.is_name(end); })) return out;
        out.push_back(statement());
        break;
      default:
        t_.error(fmt::format("unexpected {}", Tokens::describe(t_.peek())));
    }
  }
}

Stmt TemplateParser::statement() {
  const Position at = t_.peek().at;
  if (!t_.is(TokenKind::name)) t_.error(fmt::format("expected a statement, found {}", Tokens::describe(t_.peek())));
  const std::string word = t_.next().text;
  if (word == "if") return if_block(at);
  if (word == "for") return for_block(at);
  if (word == "set") return set(at);
  if (word == "macro") return macro(at);
  if (word == "call") return call_block(at);
  if (word == "filter") return filter_block(at);
  if (word == "with") return with_block(at);
  if (word == "generation") {
    end_block();
    return {at, GenerationStmt{block_body("endgeneration")}};
  }
  if (word == "break" || word == "continue") {
    if (!loops_) t_.error_at(at, fmt::format("'{}' outside of a for block", word));
    end_block();
    if (word == "break") return {at, BreakStmt{}};
    return {at, ContinueStmt{}};
  }
  if (word.starts_with("end") || word == "else" || word == "elif") {
    t_.error_at(at, fmt::format("'{{% {} %}}' without the block that it belongs to", word));
  }
  t_.error_at(at, fmt::format("the statement '{{% {} %}}' is not supported", word));
}

Body TemplateParser::block_body(std::string_view end) {
  Body out = body({end});
  t_.next();
  end_block();
  return out;
}

Stmt TemplateParser::if_block(Position at) {
  IfStmt node;
  for (;;) {
    ExprPtr test = e_.tuple();
    end_block();
    node.branches.emplace_back(std::move(test), body({"elif", "else", "endif"}));
    const std::string word = t_.next().text;
    if (word == "elif") continue;
    end_block();
    if (word == "else") node.otherwise = block_body("endif");
    return {at, std::move(node)};
  }
}

Stmt TemplateParser::for_block(Position at) {
  ForStmt node;
  node.target = target(false);
  if (!t_.skip_name("in")) t_.error(fmt::format("expected 'in', found {}", Tokens::describe(t_.peek())));
  node.items = e_.tuple(false);
  if (t_.skip_name("if")) node.filter = e_.expression();
  node.recursive = t_.skip_name("recursive");
  end_block();
  ++loops_;
  node.body = body({"else", "endfor"});
  --loops_;
  const bool has_else = t_.next().text == "else";
  end_block();
  if (has_else) node.otherwise = block_body("endfor");
  return {at, std::move(node)};
}

Target TemplateParser::target(bool may_be_attribute) {
  Target out;
  const bool parentheses = t_.skip_op("(");
  out.names.push_back(t_.expect_any_name("a name to assign to"));
  if (may_be_attribute && t_.skip_op(".")) {
    out.attribute = t_.expect_any_name("the name of an attribute");
    return out;
  }
  while (t_.skip_op(",")) {
    out.unpack = true;
    if (!t_.is(TokenKind::name) || t_.is_name("in")) break;
    out.names.push_back(t_.next().text);
  }
  if (parentheses) t_.expect_op(")");
  return out;
}

Stmt TemplateParser::set(Position at) {
  Target to = target(true);
  if (t_.skip_op("=")) {
    SetStmt node{std::move(to), e_.tuple()};
    end_block();
    return {at, std::move(node)};
  }
  SetBlockStmt node{std::move(to), block_filters(), {}};
  end_block();
  node.body = block_body("endset");
  return {at, std::move(node)};
}

/// `| f | g(…)` of a set block.
std::vector<ExprPtr> TemplateParser::block_filters() {
  std::vector<ExprPtr> filters;
  while (t_.skip_op("|")) filters.push_back(e_.one_filter(nullptr));
  return filters;
}

std::vector<Parameter> TemplateParser::parameters() {
  std::vector<Parameter> out;
  t_.expect_op("(");
  while (!t_.is_op(")")) {
    Parameter p{t_.expect_any_name("the name of a parameter"), nullptr};
    if (t_.skip_op("=")) {
      p.otherwise = e_.expression();
    } else if (!out.empty() && out.back().otherwise) {
      t_.error(fmt::format("the parameter '{}' has no default, but the one before it has", p.name));
    }
    out.push_back(std::move(p));
    if (!t_.skip_op(",")) break;
  }
  t_.expect_op(")");
  return out;
}

Stmt TemplateParser::macro(Position at) {
  auto def = std::make_shared<MacroDef>();
  def->name = t_.expect_any_name("the name of the macro");
  def->parameters = parameters();
  end_block();
  const int outside = std::exchange(loops_, 0);
  const std::size_t first = t_.position();
  def->body = block_body("endmacro");
  def->uses_varargs = t_.has_name("varargs", first);
  def->uses_kwargs = t_.has_name("kwargs", first);
  loops_ = outside;
  return {at, MacroStmt{std::move(def)}};
}

Stmt TemplateParser::call_block(Position at) {
  auto caller = std::make_shared<MacroDef>();
  caller->name = "caller";
  if (t_.is_op("(")) caller->parameters = parameters();
  ExprPtr call = e_.primary_with_postfix();
  if (!std::holds_alternative<CallExpr>(call->node)) t_.error_at(at, "'{% call %}' needs the call of a macro");
  end_block();
  const int outside = std::exchange(loops_, 0);
  caller->body = block_body("endcall");
  loops_ = outside;
  return {at, CallBlockStmt{std::move(call), std::move(caller)}};
}

Stmt TemplateParser::filter_block(Position at) {
  FilterBlockStmt node;
  node.filters.push_back(e_.one_filter(nullptr));
  while (t_.skip_op("|")) node.filters.push_back(e_.one_filter(nullptr));
  end_block();
  node.body = block_body("endfilter");
  return {at, std::move(node)};
}

Stmt TemplateParser::with_block(Position at) {
  WithStmt node;
  while (!t_.is(TokenKind::block_end)) {
    Target to{.names = {t_.expect_any_name("a name to assign to")}, .unpack = false, .attribute = {}};
    t_.expect_op("=");
    node.values.emplace_back(std::move(to), e_.expression());
    if (!t_.skip_op(",")) break;
  }
  end_block();
  node.body = block_body("endwith");
  return {at, std::move(node)};
}

}  // namespace

Body parse_template(std::string_view source, std::string_view name, const Limits& limits) {
  if (source.size() > limits.max_source_bytes) {
    syntax_error(
        name, {1, 1},
        fmt::format("the template has {} bytes; at most {} are allowed", source.size(), limits.max_source_bytes));
  }
  return TemplateParser(tokenize(source, name), name, limits.max_depth).run();
}

}  // namespace mtmd::chat
