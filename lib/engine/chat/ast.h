// The parsed template.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/chat/builtins.h"
#include "engine/chat/runtime.h"

namespace mtmd::chat {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;
struct Stmt;
using Body = std::vector<Stmt>;

struct CallArgs {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star, star_star;  ///< *sequence, **mapping
};

struct ConstExpr {
  Value value;
};
struct NameExpr {
  std::string name;
  Text what;  ///< for messages about undefined names
};
struct ListExpr {
  std::vector<ExprPtr> items;
  bool tuple = false;
};
struct DictExpr {
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
struct AttributeExpr {  // a.b
  ExprPtr object;
  std::string name;
};
struct ItemExpr {  // a[b]
  ExprPtr object, key;
};
struct SliceExpr {  // a[start:stop:step], each may be missing
  ExprPtr object, start, stop, step;
};
struct CallExpr {
  ExprPtr callee;
  CallArgs args;
};
struct FilterExpr {
  ExprPtr input;  ///< null in a filter block
  std::string name;
  Filter filter;
  CallArgs args;
};
struct TestExpr {
  ExprPtr input;
  std::string name;
  Test test;
  CallArgs args;
};
enum class Op {
  add,
  sub,
  mul,
  div,
  floor_div,
  mod,
  pow,
  concat,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  in,
  not_in,
  logical_and,
  logical_or
};
struct UnaryExpr {
  enum class Kind { negative, positive, logical_not } kind{};
  ExprPtr operand;
};
struct BinaryExpr {  // but comparisons
  Op op{};
  ExprPtr left, right;
};
struct CompareExpr {  // a < b <= c
  ExprPtr first;
  std::vector<std::pair<Op, ExprPtr>> rest;
};
struct CondExpr {  // a if test else b
  ExprPtr test, yes, no;
};

struct Expr {
  Position at;
  int depth = 1;  ///< of the tree below and with this node; bounded, because evaluation and destruction recurse
  std::variant<ConstExpr, NameExpr, ListExpr, DictExpr, AttributeExpr, ItemExpr, SliceExpr, CallExpr, FilterExpr,
               TestExpr, UnaryExpr, BinaryExpr, CompareExpr, CondExpr>
      node;
};

/// What an assignment writes to: names (several: the value is unpacked), or one attribute of a namespace.
struct Target {
  std::vector<std::string> names;
  bool unpack = false;
  std::string attribute;  ///< of the namespace names[0], when not empty
};

struct Parameter {
  std::string name;
  ExprPtr otherwise;
};
struct MacroDef {
  std::string name;
  std::vector<Parameter> parameters;
  bool uses_varargs = false, uses_kwargs = false;
  Body body;
};

struct TextStmt {
  std::string text;
};
struct PrintStmt {
  ExprPtr value;
};
struct IfStmt {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct ForStmt {
  Target target;
  ExprPtr items, filter;
  bool recursive = false;
  Body body, otherwise;
};
struct SetStmt {
  Target target;
  ExprPtr value;
};
struct SetBlockStmt {
  Target target;
  std::vector<ExprPtr> filters;  ///< applied in this order to the text
  Body body;
};
struct MacroStmt {
  std::shared_ptr<const MacroDef> macro;
};
struct CallBlockStmt {
  ExprPtr call;
  std::shared_ptr<const MacroDef> caller;
};
struct FilterBlockStmt {
  std::vector<ExprPtr> filters;
  Body body;
};
struct WithStmt {
  std::vector<std::pair<Target, ExprPtr>> values;
  Body body;
};
struct GenerationStmt {  // {% generation %}: marks what the model wrote; prints its body
  Body body;
};
struct BreakStmt {};
struct ContinueStmt {};

struct Stmt {
  Position at;
  std::variant<TextStmt, PrintStmt, IfStmt, ForStmt, SetStmt, SetBlockStmt, MacroStmt, CallBlockStmt, FilterBlockStmt,
               WithStmt, GenerationStmt, BreakStmt, ContinueStmt>
      node;
};

}  // namespace mtmd::chat
