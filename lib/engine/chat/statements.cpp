#include <algorithm>

#include "engine/chat/interpreter_base.h"

namespace mtmd::chat {

Interpreter::Flow Interpreter::run(const Body& body, const ScopePtr& scope, std::string& out) {
  for (const Stmt& s : body) {
    const Level level(rt_, s.at);
    const Flow flow = std::visit([&](const auto& node) { return exec(node, scope, out); }, s.node);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::exec(const TextStmt& s, const ScopePtr&, std::string& out) {
  rt_.append(out, s.text);
  return Flow::normal;
}

Interpreter::Flow Interpreter::exec(const PrintStmt& s, const ScopePtr& scope, std::string& out) {
  const Value v = eval(*s.value, scope);
  rt_.append(out, v.text() ? *v.text() : text_of(rt_, v));
  return Flow::normal;
}

Interpreter::Flow Interpreter::exec(const IfStmt& s, const ScopePtr& scope, std::string& out) {
  for (const auto& [test, body] : s.branches) {
    if (truthy(eval(*test, scope))) return run(body, scope, out);
  }
  return run(s.otherwise, scope, out);
}

Interpreter::Flow Interpreter::exec(const ForStmt& s, const ScopePtr& scope, std::string& out) {
  return loop_over(s, elements(rt_, eval(*s.items, scope)), scope, 0, out);
}

/// `for x in items if condition`: what passes.
std::vector<Value> Interpreter::filtered(const ForStmt& s, std::vector<Value> items, const ScopePtr& scope) {
  if (!s.filter) return items;
  std::vector<Value> out;
  const auto inner = std::make_shared<Scope>();
  inner->parent = scope;
  for (Value& i : items) {
    assign(s.target, i, inner);
    if (truthy(eval(*s.filter, inner))) out.push_back(std::move(i));
  }
  return out;
}

Interpreter::Flow Interpreter::loop_over(const ForStmt& s, std::vector<Value> items, const ScopePtr& scope, int depth0,
                                         std::string& out) {
  const Value list = rt_.list(filtered(s, std::move(items), scope));
  if (list.list()->items.empty()) return run(s.otherwise, scope, out);
  const auto loop = std::make_shared<Loop>();
  loop->items = *list.get<std::shared_ptr<const List>>();
  loop->depth0 = depth0;
  if (s.recursive) {
    const Value again = rt_.function("loop", [this, &s, scope, depth0](Runtime& rt, const Args& args) {
      const Bound b(rt, "loop", args, {"items"}, 1);
      std::string text;
      loop_over(s, elements(rt, b[0]), scope, depth0 + 1, text);
      return rt.text(std::move(text));
    });
    loop->recurse = *again.get<std::shared_ptr<const Callable>>();
  }
  for (std::size_t i = 0; i < loop->items->items.size(); ++i) {
    rt_.charge();
    loop->index0 = i;
    const auto inner = std::make_shared<Scope>();
    inner->parent = scope;
    inner->set("loop", Value(loop));
    assign(s.target, loop->items->items[i], inner);
    if (run(s.body, inner, out) == Flow::break_loop) break;
  }
  return Flow::normal;
}

void Interpreter::assign(const Target& target, Value value, const ScopePtr& scope) {
  if (!target.attribute.empty()) {
    const Value* space = lookup(target.names[0], scope);
    if (!space || !space->space()) {
      rt_.fail(fmt::format("'{}' is no namespace, so '{}' of it cannot be set", target.names[0], target.attribute));
    }
    auto& attributes = space->space()->attributes;
    rt_.charge(attributes.size() / 16);
    const auto known = std::find_if(attributes.begin(), attributes.end(),
                                    [&target](const auto& a) { return a.first == target.attribute; });
    if (known != attributes.end()) {
      known->second = std::move(value);
    } else {
      attributes.emplace_back(target.attribute, std::move(value));
    }
    return;
  }
  if (!target.unpack) {
    rt_.charge(scope->variables.size() / 16);
    scope->set(target.names[0], std::move(value));
    return;
  }
  const std::vector<Value> parts = elements(rt_, value);
  if (parts.size() != target.names.size()) {
    rt_.fail(fmt::format("{} values for {} names", parts.size(), target.names.size()));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) scope->set(target.names[i], parts[i]);
}

Interpreter::Flow Interpreter::exec(const SetStmt& s, const ScopePtr& scope, std::string&) {
  assign(s.target, eval(*s.value, scope), scope);
  return Flow::normal;
}

Value Interpreter::apply_filters(const std::vector<ExprPtr>& filters, Value input, const ScopePtr& scope) {
  for (const auto& f : filters) {
    block_input_ = std::move(input);
    input = eval(*f, scope);
  }
  return input;
}

Interpreter::Flow Interpreter::exec(const SetBlockStmt& s, const ScopePtr& scope, std::string&) {
  std::string text;
  const auto inner = std::make_shared<Scope>();
  inner->parent = scope;
  const Flow flow = run(s.body, inner, text);
  assign(s.target, apply_filters(s.filters, rt_.text(std::move(text)), scope), scope);
  return flow;
}

Interpreter::Flow Interpreter::exec(const FilterBlockStmt& s, const ScopePtr& scope, std::string& out) {
  std::string text;
  const auto inner = std::make_shared<Scope>();
  inner->parent = scope;
  const Flow flow = run(s.body, inner, text);
  rt_.append(out, text_of(rt_, apply_filters(s.filters, rt_.text(std::move(text)), scope)));
  return flow;
}

Interpreter::Flow Interpreter::exec(const WithStmt& s, const ScopePtr& scope, std::string& out) {
  const auto inner = std::make_shared<Scope>();
  inner->parent = scope;
  for (const auto& [target, value] : s.values) assign(target, eval(*value, scope), inner);
  return run(s.body, inner, out);
}

Interpreter::Flow Interpreter::exec(const GenerationStmt& s, const ScopePtr& scope, std::string& out) {
  return run(s.body, scope, out);
}

Value Interpreter::macro(const std::shared_ptr<const MacroDef>& def, const ScopePtr& scope) {
  if (captured_.empty() || captured_.back() != scope) captured_.push_back(scope);
  return rt_.function(def->name,
                      [this, def, scope](Runtime&, const Args& args) { return call_macro(*def, scope, args); });
}

Interpreter::Flow Interpreter::exec(const MacroStmt& s, const ScopePtr& scope, std::string&) {
  scope->set(s.macro->name, macro(s.macro, scope));
  return Flow::normal;
}

Interpreter::Flow Interpreter::exec(const CallBlockStmt& s, const ScopePtr& scope, std::string& out) {
  const auto& call = std::get<CallExpr>(s.call->node);
  const Value callee = eval(*call.callee, scope);
  Args args = eval_args(call.args, scope);
  args.named.emplace_back("caller", macro(s.caller, scope));
  rt_.append(out, text_of(rt_, rt_.call(callee, args)));
  return Flow::normal;
}

/// Parameters by position, then by name, then their defaults; the rest goes to varargs and kwargs.
Value Interpreter::call_macro(const MacroDef& def, const ScopePtr& defined_in, const Args& args) {
  const Level level(rt_, rt_.at);
  const auto scope = std::make_shared<Scope>();
  scope->parent = defined_in;
  std::vector<std::pair<Value, Value>> rest;
  std::vector<const Value*> given(def.parameters.size());
  for (std::size_t i = 0; i < std::min(given.size(), args.positional.size()); ++i) given[i] = &args.positional[i];
  for (const auto& [name, value] : args.named) {
    rt_.charge(def.parameters.size() / 8);
    const auto it = std::find_if(def.parameters.begin(), def.parameters.end(),
                                 [&n = name](const Parameter& p) { return p.name == n; });
    if (it != def.parameters.end()) {
      auto& slot = given[static_cast<std::size_t>(it - def.parameters.begin())];
      if (slot) rt_.fail(fmt::format("the macro '{}' got two values for '{}'", def.name, name));
      slot = &value;
    } else if (name == "caller") {
      scope->set("caller", value);
    } else {
      rest.emplace_back(rt_.text(name), value);
    }
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    const Parameter& p = def.parameters[i];
    rt_.charge(i / 8);
    if (given[i]) {
      scope->set(p.name, *given[i]);
    } else {
      scope->set(p.name, p.otherwise ? eval(*p.otherwise, scope)
                                     : Value(Undefined{std::make_shared<const std::string>("'" + p.name + "'")}));
    }
  }
  const std::size_t n_extra = args.positional.size() - std::min(given.size(), args.positional.size());
  if ((n_extra && !def.uses_varargs) || (!rest.empty() && !def.uses_kwargs)) {
    rt_.fail(fmt::format("the macro '{}' takes {} arguments, found {}", def.name, given.size(),
                         n_extra ? fmt::format("{}", args.positional.size()) : "another: " + *rest[0].first.text()));
  }
  if (def.uses_varargs)
    scope->set("varargs",
               rt_.list({args.positional.end() - static_cast<std::ptrdiff_t>(n_extra), args.positional.end()}, true));
  if (def.uses_kwargs) scope->set("kwargs", rt_.dict(std::move(rest)));
  std::string out;
  run(def.body, scope, out);
  return rt_.text(std::move(out));
}

std::string interpret(const Body& body, Runtime& rt, const Value& context) {
  std::string out;
  Interpreter interpreter(rt, context);
  interpreter.run(body, std::make_shared<Scope>(), out);
  return out;
}

}  // namespace mtmd::chat
