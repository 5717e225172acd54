// The interpreter's class; its expressions are in expressions.cpp, its statements in statements.cpp.
#pragma once

#include "engine/chat/interpreter.h"
#include "engine/chat/operators.h"

namespace mtmd::chat {

/// Variables of the template, of one loop iteration, of a macro call or of a with block. Names view into the syntax
/// tree.
struct Scope {
  std::vector<std::pair<std::string_view, Value>> variables;
  std::shared_ptr<Scope> parent;

  void set(std::string_view name, Value value) {
    for (auto& [key, v] : variables) {
      if (key == name) {
        v = std::move(value);
        return;
      }
    }
    variables.emplace_back(name, std::move(value));
  }
};
using ScopePtr = std::shared_ptr<Scope>;

class Interpreter {
 public:
  Interpreter(Runtime& rt, const Value& context) : rt_(rt), context_(context) {}
  ~Interpreter() {
    for (const auto& scope : captured_) scope->variables.clear();
  }
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  enum class Flow { normal, break_loop, continue_loop };
  Flow run(const Body& body, const ScopePtr& scope, std::string& out);

 private:
  /// Counts one level of recursion, and puts the place back at its end.
  class Level {
   public:
    Level(Runtime& rt, Position at) : rt_(rt), outer_(rt.at) {
      rt_.at = at;
      rt_.charge();
      if (++rt_.call_depth > max_expression_depth(rt_.limits().max_depth)) {
        --rt_.call_depth;
        rt_.fail("calls or expressions nested too deeply (endless recursion?)");
      }
    }
    ~Level() {
      --rt_.call_depth;
      rt_.at = outer_;
    }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Runtime& rt_;
    Position outer_;
  };

  // expressions.cpp
  Value eval(const Expr& e, const ScopePtr& scope);
  Value eval(const ConstExpr& e, const ScopePtr&) { return e.value; }
  Value eval(const NameExpr& e, const ScopePtr& scope);
  Value eval(const ListExpr& e, const ScopePtr& scope);
  Value eval(const DictExpr& e, const ScopePtr& scope);
  Value eval(const AttributeExpr& e, const ScopePtr& scope);
  Value eval(const ItemExpr& e, const ScopePtr& scope);
  Value eval(const SliceExpr& e, const ScopePtr& scope);
  Value eval(const CallExpr& e, const ScopePtr& scope);
  Value eval(const FilterExpr& e, const ScopePtr& scope);
  Value eval(const TestExpr& e, const ScopePtr& scope);
  Value eval(const UnaryExpr& e, const ScopePtr& scope);
  Value eval(const BinaryExpr& e, const ScopePtr& scope);
  Value eval(const CompareExpr& e, const ScopePtr& scope);
  Value eval(const CondExpr& e, const ScopePtr& scope);
  Args eval_args(const CallArgs& args, const ScopePtr& scope);

  // statements.cpp
  Flow exec(const TextStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const PrintStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const IfStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const ForStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const SetStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const SetBlockStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const MacroStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const CallBlockStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const FilterBlockStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const WithStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const GenerationStmt& s, const ScopePtr& scope, std::string& out);
  Flow exec(const BreakStmt&, const ScopePtr&, std::string&) { return Flow::break_loop; }
  Flow exec(const ContinueStmt&, const ScopePtr&, std::string&) { return Flow::continue_loop; }
  Flow loop_over(const ForStmt& s, std::vector<Value> items, const ScopePtr& scope, int depth0, std::string& out);
  std::vector<Value> filtered(const ForStmt& s, std::vector<Value> items, const ScopePtr& scope);
  void assign(const Target& target, Value value, const ScopePtr& scope);
  Value macro(const std::shared_ptr<const MacroDef>& def, const ScopePtr& scope);
  Value call_macro(const MacroDef& def, const ScopePtr& defined_in, const Args& args);
  Value apply_filters(const std::vector<ExprPtr>& filters, Value input, const ScopePtr& scope);
  const Value* lookup(std::string_view name, const ScopePtr& scope);

  Runtime& rt_;
  const Value& context_;
  Value block_input_;               // what a filter block or set block gives to its next filter
  std::vector<ScopePtr> captured_;  // by macros: they may form cycles, so they are cleared at the end
};

}  // namespace mtmd::chat
