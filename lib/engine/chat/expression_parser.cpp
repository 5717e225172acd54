#include <algorithm>

#include "engine/chat/parser_base.h"

namespace mtmd::chat {
namespace {

struct BinaryOp {
  std::string_view text;
  Op op;
};
/// Lowest precedence first; each level groups to the left.
const std::vector<BinaryOp> levels[] = {
    {{"+", Op::add}, {"-", Op::sub}},
    {{"~", Op::concat}},
    {{"*", Op::mul}, {"/", Op::div}, {"//", Op::floor_div}, {"%", Op::mod}},
    {{"**", Op::pow}},
};
constexpr BinaryOp comparisons[] = {{"==", Op::eq}, {"!=", Op::ne}, {"<", Op::lt},
                                    {"<=", Op::le}, {">", Op::gt},  {">=", Op::ge}};

int depth(const ExprPtr& e) { return e ? e->depth : 0; }
int depth(const std::vector<ExprPtr>& list) {
  int d = 0;
  for (const auto& e : list) d = std::max(d, depth(e));
  return d;
}
int depth(const CallArgs& args) {
  int d = std::max({depth(args.positional), depth(args.star), depth(args.star_star)});
  for (const auto& [name, e] : args.named) d = std::max(d, depth(e));
  return d;
}

struct DepthBelow {
  int operator()(const ConstExpr&) const { return 0; }
  int operator()(const NameExpr&) const { return 0; }
  int operator()(const ListExpr& n) const { return depth(n.items); }
  int operator()(const DictExpr& n) const {
    int d = 0;
    for (const auto& [key, value] : n.entries) d = std::max({d, depth(key), depth(value)});
    return d;
  }
  int operator()(const AttributeExpr& n) const { return depth(n.object); }
  int operator()(const ItemExpr& n) const { return std::max(depth(n.object), depth(n.key)); }
  int operator()(const SliceExpr& n) const {
    return std::max({depth(n.object), depth(n.start), depth(n.stop), depth(n.step)});
  }
  int operator()(const CallExpr& n) const { return std::max(depth(n.callee), depth(n.args)); }
  int operator()(const FilterExpr& n) const { return std::max(depth(n.input), depth(n.args)); }
  int operator()(const TestExpr& n) const { return std::max(depth(n.input), depth(n.args)); }
  int operator()(const UnaryExpr& n) const { return depth(n.operand); }
  int operator()(const BinaryExpr& n) const { return std::max(depth(n.left), depth(n.right)); }
  int operator()(const CompareExpr& n) const {
    int d = depth(n.first);
    for (const auto& [op, e] : n.rest) d = std::max(d, depth(e));
    return d;
  }
  int operator()(const CondExpr& n) const { return std::max({depth(n.test), depth(n.yes), depth(n.no)}); }
};

}  // namespace

template <class Node>
ExprPtr ExpressionParser::make(Position at, Node node) {
  auto e = std::make_unique<Expr>(Expr{.at = at, .node = std::move(node)});
  e->depth = 1 + std::visit(DepthBelow{}, e->node);
  if (e->depth > max_expression_depth(t_.max_depth())) {
    t_.error_at(at,
                fmt::format("an expression of more than {} nested operations", max_expression_depth(t_.max_depth())));
  }
  return e;
}

std::string Tokens::describe(const Token& t) {
  switch (t.kind) {
    case TokenKind::text:
      return "text";
    case TokenKind::block_begin:
      return "'{%'";
    case TokenKind::block_end:
      return "'%}'";
    case TokenKind::print_begin:
      return "'{{'";
    case TokenKind::print_end:
      return "'}}'";
    case TokenKind::name:
      return fmt::format("'{}'", t.text);
    case TokenKind::string:
      return "a string";
    case TokenKind::integer:
    case TokenKind::real:
      return fmt::format("the number {}", t.text);
    case TokenKind::op:
      return fmt::format("'{}'", t.text);
    case TokenKind::end:
      return "the end of the template";
  }
  return "";
}

bool Tokens::has_name(std::string_view name, std::size_t first) const {
  return std::any_of(tokens_.begin() + static_cast<std::ptrdiff_t>(first),
                     tokens_.begin() + static_cast<std::ptrdiff_t>(at_),
                     [name](const Token& t) { return t.kind == TokenKind::name && t.text == name; });
}

ExprPtr ExpressionParser::expression(bool with_condition) { return with_condition ? condition() : logical_or(); }

ExprPtr ExpressionParser::tuple(bool with_condition) {
  const Position at = t_.peek().at;
  ExprPtr first = expression(with_condition);
  if (!t_.is_op(",")) return first;
  ListExpr list{.items = {}, .tuple = true};
  list.items.push_back(std::move(first));
  while (t_.skip_op(",")) {
    if (t_.is(TokenKind::block_end) || t_.is(TokenKind::print_end) || t_.is_op(")") || t_.is_name("if")) break;
    list.items.push_back(expression(with_condition));
  }
  return make(at, std::move(list));
}

ExprPtr ExpressionParser::condition() {
  const Tokens::Nested nested(t_);
  ExprPtr node = logical_or();
  while (t_.is_name("if")) {
    const Position at = t_.next().at;
    CondExpr cond{.test = logical_or(), .yes = std::move(node), .no = nullptr};
    if (t_.skip_name("else")) cond.no = condition();
    node = make(at, std::move(cond));
  }
  return node;
}

ExprPtr ExpressionParser::logical_or() {
  ExprPtr left = logical_and();
  while (t_.is_name("or")) {
    const Position at = t_.next().at;
    left = make(at, BinaryExpr{Op::logical_or, std::move(left), logical_and()});
  }
  return left;
}

ExprPtr ExpressionParser::logical_and() {
  ExprPtr left = logical_not();
  while (t_.is_name("and")) {
    const Position at = t_.next().at;
    left = make(at, BinaryExpr{Op::logical_and, std::move(left), logical_not()});
  }
  return left;
}

ExprPtr ExpressionParser::logical_not() {
  if (!t_.is_name("not") || t_.is_name("in", 1)) return comparison();
  const Tokens::Nested nested(t_);
  const Position at = t_.next().at;
  return make(at, UnaryExpr{UnaryExpr::Kind::logical_not, logical_not()});
}

ExprPtr ExpressionParser::comparison() {
  const Position at = t_.peek().at;
  CompareExpr node{.first = binary_chain(0), .rest = {}};
  for (;;) {
    const auto* known = std::find_if(std::begin(comparisons), std::end(comparisons),
                                     [this](const BinaryOp& c) { return t_.is_op(c.text); });
    if (known != std::end(comparisons)) {
      t_.next();
      node.rest.emplace_back(known->op, binary_chain(0));
    } else if (t_.skip_name("in")) {
      node.rest.emplace_back(Op::in, binary_chain(0));
    } else if (t_.is_name("not") && t_.is_name("in", 1)) {
      t_.next();
      t_.next();
      node.rest.emplace_back(Op::not_in, binary_chain(0));
    } else {
      break;
    }
  }
  return node.rest.empty() ? std::move(node.first) : make(at, std::move(node));
}

ExprPtr ExpressionParser::binary_chain(int level) {
  if (level == static_cast<int>(std::size(levels))) return unary(true);
  ExprPtr left = binary_chain(level + 1);
  for (;;) {
    const auto& ops = levels[level];
    const auto known = std::find_if(ops.begin(), ops.end(), [this](const BinaryOp& o) { return t_.is_op(o.text); });
    if (known == ops.end()) return left;
    const Position at = t_.next().at;
    left = make(at, BinaryExpr{known->op, std::move(left), binary_chain(level + 1)});
  }
}

ExprPtr ExpressionParser::unary(bool with_filter) {
  const Position at = t_.peek().at;
  ExprPtr node;
  if (t_.is_op("-") || t_.is_op("+")) {
    const Tokens::Nested nested(t_);
    const bool minus = t_.next().text == "-";
    node = make(at, UnaryExpr{minus ? UnaryExpr::Kind::negative : UnaryExpr::Kind::positive, unary(false)});
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filter ? tests_and_filters(std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::primary_with_postfix() { return postfix(primary()); }

ExprPtr ExpressionParser::primary() {
  if (t_.is_op("(")) return parenthesised();
  if (t_.is_op("[")) return list();
  if (t_.is_op("{")) return dict();
  return constant_or_name();
}

ExprPtr ExpressionParser::constant_or_name() {
  const Position at = t_.peek().at;
  switch (t_.peek().kind) {
    case TokenKind::integer:
      return make(at, ConstExpr{Value(t_.next().integer)});
    case TokenKind::real:
      return make(at, ConstExpr{Value(t_.next().real)});
    case TokenKind::string: {
      std::string text = t_.next().text;
      while (t_.is(TokenKind::string)) text += t_.next().text;  // neighbours are one string
      return make(at, ConstExpr{Value(std::make_shared<const std::string>(std::move(text)))});
    }
    case TokenKind::name:
      break;
    default:
      t_.error(fmt::format("expected an expression, found {}", Tokens::describe(t_.peek())));
  }
  static constexpr std::string_view reserved[] = {"if", "else", "elif", "in", "and", "or", "not", "is", "for"};
  for (const std::string_view word : reserved) {
    if (t_.is_name(word)) t_.error(fmt::format("expected an expression, found '{}'", word));
  }
  std::string name = t_.next().text;
  if (name == "true" || name == "True") return make(at, ConstExpr{Value(true)});
  if (name == "false" || name == "False") return make(at, ConstExpr{Value(false)});
  if (name == "none" || name == "None") return make(at, ConstExpr{Value(None{})});
  auto what = std::make_shared<const std::string>(fmt::format("'{}'", name));
  return make(at, NameExpr{std::move(name), std::move(what)});
}

ExprPtr ExpressionParser::parenthesised() {
  const Tokens::Nested nested(t_);
  const Position at = t_.next().at;
  if (t_.skip_op(")")) return make(at, ListExpr{.items = {}, .tuple = true});
  ExprPtr inner = tuple();
  t_.expect_op(")");
  return inner;
}

ExprPtr ExpressionParser::list() {
  const Tokens::Nested nested(t_);
  const Position at = t_.next().at;
  ListExpr node;
  while (!t_.is_op("]")) {
    node.items.push_back(expression());
    if (!t_.skip_op(",")) break;
  }
  t_.expect_op("]");
  return make(at, std::move(node));
}

ExprPtr ExpressionParser::dict() {
  const Tokens::Nested nested(t_);
  const Position at = t_.next().at;
  DictExpr node;
  while (!t_.is_op("}")) {
    ExprPtr key = expression();
    t_.expect_op(":");
    node.entries.emplace_back(std::move(key), expression());
    if (!t_.skip_op(",")) break;
  }
  t_.expect_op("}");
  return make(at, std::move(node));
}

ExprPtr ExpressionParser::postfix(ExprPtr node) {
  for (;;) {
    const Position at = t_.peek().at;
    if (t_.skip_op(".")) {
      if (t_.is(TokenKind::integer)) {
        node = make(at, ItemExpr{std::move(node), constant_or_name()});
      } else {
        node = make(at, AttributeExpr{std::move(node), t_.expect_any_name("the name of an attribute")});
      }
    } else if (t_.is_op("[")) {
      node = subscript(std::move(node));
    } else if (t_.is_op("(")) {
      node = make(at, CallExpr{std::move(node), call_args()});
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::subscript(ExprPtr object) {
  const Tokens::Nested nested(t_);
  const Position at = t_.next().at;
  ExprPtr parts[3];
  int n_colons = 0;
  while (!t_.is_op("]")) {
    if (t_.skip_op(":")) {
      if (++n_colons > 2) t_.error("a slice has at most start, stop and step");
    } else {
      if (parts[n_colons]) t_.error(fmt::format("expected ']', found {}", Tokens::describe(t_.peek())));
      parts[n_colons] = n_colons ? expression() : tuple();
    }
  }
  t_.expect_op("]");
  if (n_colons) {
    return make(at, SliceExpr{std::move(object), std::move(parts[0]), std::move(parts[1]), std::move(parts[2])});
  }
  if (!parts[0]) t_.error_at(at, "empty subscript '[]'");
  return make(at, ItemExpr{std::move(object), std::move(parts[0])});
}

CallArgs ExpressionParser::call_args() {
  const Tokens::Nested nested(t_);
  t_.expect_op("(");
  CallArgs args;
  while (!t_.is_op(")")) {
    if (t_.skip_op("**")) {
      args.star_star = expression();
    } else if (t_.skip_op("*")) {
      args.star = expression();
    } else if (t_.is(TokenKind::name) && t_.is_op("=", 1)) {
      std::string name = t_.next().text;
      t_.next();
      args.named.emplace_back(std::move(name), expression());
    } else {
      if (!args.named.empty()) t_.error("an argument without a name after one with a name");
      args.positional.push_back(expression());
    }
    if (!t_.skip_op(",")) break;
  }
  t_.expect_op(")");
  return args;
}

ExprPtr ExpressionParser::tests_and_filters(ExprPtr node) {
  for (;;) {
    if (t_.skip_op("|")) {
      node = one_filter(std::move(node));
    } else if (t_.is_name("is")) {
      node = test(std::move(node));
    } else if (t_.is_op("(")) {  // x|attr('f')(…)
      const Position at = t_.peek().at;
      node = make(at, CallExpr{std::move(node), call_args()});
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::filters_after(ExprPtr input) {
  while (t_.skip_op("|")) input = one_filter(std::move(input));
  return input;
}

ExprPtr ExpressionParser::one_filter(ExprPtr input) {
  const Position at = t_.peek().at;
  FilterExpr node{
      .input = std::move(input), .name = t_.expect_any_name("the name of a filter"), .filter = {}, .args = {}};
  node.filter = find_filter(node.name);
  if (!node.filter) t_.error_at(at, fmt::format("the filter '{}' is not supported", node.name));
  if (t_.is_op("(")) node.args = call_args();
  return make(at, std::move(node));
}

ExprPtr ExpressionParser::test(ExprPtr input) {
  t_.next();  // is
  const bool negated = t_.skip_name("not");
  const Position at = t_.peek().at;
  TestExpr node{.input = std::move(input), .name = t_.expect_any_name("the name of a test"), .test = {}, .args = {}};
  node.test = find_test(node.name);
  if (!node.test) t_.error_at(at, fmt::format("the test '{}' is not supported", node.name));
  if (t_.is_op("(")) {
    node.args = call_args();
  } else {
    const Token& t = t_.peek();
    static constexpr std::string_view no_argument[] = {"else", "or", "and", "if", "is", "in", "not", "recursive"};
    const bool starts_value = t.kind == TokenKind::integer || t.kind == TokenKind::real ||
                              t.kind == TokenKind::string || t_.is_op("[") || t_.is_op("{") ||
                              (t.kind == TokenKind::name && std::find(std::begin(no_argument), std::end(no_argument),
                                                                      t.text) == std::end(no_argument));
    if (starts_value) node.args.positional.push_back(primary_with_postfix());
  }
  ExprPtr result = make(at, std::move(node));
  return negated ? make(at, UnaryExpr{UnaryExpr::Kind::logical_not, std::move(result)}) : std::move(result);
}

}  // namespace mtmd::chat
