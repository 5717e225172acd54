#include <algorithm>

#include "engine/chat/interpreter_base.h"

namespace mtmd::chat {

Value Interpreter::eval(const Expr& e, const ScopePtr& scope) {
  const Level level(rt_, e.at);
  return std::visit([&](const auto& node) { return eval(node, scope); }, e.node);
}

const Value* Interpreter::lookup(std::string_view name, const ScopePtr& scope) {
  for (const Scope* s = scope.get(); s; s = s->parent.get()) {
    rt_.charge(s->variables.size() / 16);
    for (const auto& [key, value] : s->variables) {
      if (key == name) return &value;
    }
  }
  return context_.dict()->find(name);
}

Value Interpreter::eval(const NameExpr& e, const ScopePtr& scope) {
  if (const Value* v = lookup(e.name, scope)) return *v;
  Value global = find_global(rt_, e.name);
  return global.is_undefined() ? Value(Undefined{e.what}) : global;
}

Value Interpreter::eval(const ListExpr& e, const ScopePtr& scope) {
  std::vector<Value> items;
  for (const auto& i : e.items) items.push_back(eval(*i, scope));
  return rt_.list(std::move(items), e.tuple);
}

Value Interpreter::eval(const DictExpr& e, const ScopePtr& scope) {
  std::vector<std::pair<Value, Value>> entries;
  for (const auto& [k, v] : e.entries) {
    const Value key = eval(*k, scope);
    if (!key.text() && !key.is_none() && !is_number(key)) {
      rt_.fail(fmt::format("a value of type {} cannot be a key", type_name(key)));
    }
    Value value = eval(*v, scope);
    rt_.charge(entries.size() / 8);
    const auto known =
        std::find_if(entries.begin(), entries.end(), [&key](const auto& x) { return equal(x.first, key); });
    if (known != entries.end()) {
      known->second = std::move(value);
    } else {
      entries.emplace_back(key, std::move(value));
    }
  }
  return rt_.dict(std::move(entries));
}

Value Interpreter::eval(const AttributeExpr& e, const ScopePtr& scope) {
  return attribute(rt_, eval(*e.object, scope), e.name);
}

Value Interpreter::eval(const ItemExpr& e, const ScopePtr& scope) {
  const Value object = eval(*e.object, scope);
  return item(rt_, object, eval(*e.key, scope));
}

Value Interpreter::eval(const SliceExpr& e, const ScopePtr& scope) {
  const Value object = eval(*e.object, scope);
  Value bounds[3];
  const Value* given[3] = {};
  const ExprPtr* parts[] = {&e.start, &e.stop, &e.step};
  for (int i = 0; i < 3; ++i) {
    if (!*parts[i]) continue;
    bounds[i] = eval(**parts[i], scope);
    given[i] = &bounds[i];
  }
  return slice(rt_, object, given[0], given[1], given[2]);
}

Args Interpreter::eval_args(const CallArgs& args, const ScopePtr& scope) {
  Args out;
  for (const auto& a : args.positional) out.positional.push_back(eval(*a, scope));
  if (args.star) {
    for (Value& v : elements(rt_, eval(*args.star, scope))) out.positional.push_back(std::move(v));
  }
  for (const auto& [name, a] : args.named) {
    rt_.charge(out.named.size() / 8);
    out.named.emplace_back(name, eval(*a, scope));
  }
  if (args.star_star) {
    const Value mapping = eval(*args.star_star, scope);
    if (!mapping.dict()) rt_.fail(fmt::format("** needs a mapping, found a value of type {}", type_name(mapping)));
    for (const auto& [key, value] : mapping.dict()->entries) {
      if (!key.text()) rt_.fail("** needs a mapping whose keys are strings");
      rt_.charge(out.named.size() / 8);
      out.named.emplace_back(*key.text(), value);
    }
  }
  return out;
}

Value Interpreter::eval(const CallExpr& e, const ScopePtr& scope) {
  const Value callee = eval(*e.callee, scope);
  return rt_.call(callee, eval_args(e.args, scope));
}

Value Interpreter::eval(const FilterExpr& e, const ScopePtr& scope) {
  const Value input = e.input ? eval(*e.input, scope) : std::exchange(block_input_, {});
  return e.filter(rt_, input, eval_args(e.args, scope));
}

Value Interpreter::eval(const TestExpr& e, const ScopePtr& scope) {
  const Value input = eval(*e.input, scope);
  return e.test(rt_, input, eval_args(e.args, scope));
}

Value Interpreter::eval(const UnaryExpr& e, const ScopePtr& scope) {
  Value v = eval(*e.operand, scope);
  switch (e.kind) {
    case UnaryExpr::Kind::logical_not:
      return !truthy(v);
    case UnaryExpr::Kind::negative:
      return negative(rt_, v);
    case UnaryExpr::Kind::positive:
      break;
  }
  if (!is_number(v)) rt_.fail(fmt::format("+ of a value of type {}", type_name(v)));
  return v;
}

Value Interpreter::eval(const BinaryExpr& e, const ScopePtr& scope) {
  Value left = eval(*e.left, scope);
  if (e.op == Op::logical_and) return truthy(left) ? eval(*e.right, scope) : left;
  if (e.op == Op::logical_or) return truthy(left) ? left : eval(*e.right, scope);
  return binary(rt_, e.op, left, eval(*e.right, scope));
}

Value Interpreter::eval(const CompareExpr& e, const ScopePtr& scope) {
  Value left = eval(*e.first, scope);
  for (const auto& [op, right_expr] : e.rest) {
    Value right = eval(*right_expr, scope);
    if (!compare(rt_, op, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::eval(const CondExpr& e, const ScopePtr& scope) {
  if (truthy(eval(*e.test, scope))) return eval(*e.yes, scope);
  return e.no ? eval(*e.no, scope) : Value();
}

}  // namespace mtmd::chat
