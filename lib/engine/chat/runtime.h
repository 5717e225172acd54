// What every part of the interpreter needs while it renders: the limits, making values, errors with their place.
#pragma once

#include <fmt/core.h>

#include <optional>
#include <span>

#include "engine/chat/template.h"
#include "engine/chat/value.h"

namespace mtmd::chat {

struct Position {
  int line = 0, column = 0;  ///< from 1; columns count characters
};

/// Evaluations within each other, in one expression and in all that call each other: long chains such as a + b + c need
/// more than the nesting of brackets and blocks.
constexpr int max_expression_depth(int max_depth) noexcept { return 5 * max_depth; }

class Runtime {
 public:
  Runtime(std::string_view name, const Limits& limits, std::int64_t now) : name_(name), limits_(limits), now_(now) {}
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Counts work; throws Error(model) when there was too much.
  void charge(std::size_t steps = 1);
  /// Counts work that is linear in bytes.
  void charge_bytes(std::size_t n) { charge(n / 64); }

  Value text(std::string s);
  Value list(std::vector<Value> items, bool tuple = false);
  Value dict(std::vector<std::pair<Value, Value>> entries);  ///< keys must differ
  Value space();
  /// `depth`: nesting of the values that `call` holds.
  Value function(std::string name, std::function<Value(Runtime&, const Args&)> call, int depth = 0);

  [[noreturn]] void fail(std::string_view what) const;    ///< Error(model) with the current place
  [[noreturn]] void refuse(std::string_view what) const;  ///< Error(input): raise_exception

  Value call(const Value& callee, const Args& args);
  void append(std::string& to, std::string_view text);  ///< within max_output_bytes

  Position at;  ///< of what is being evaluated
  std::int64_t now() const noexcept { return now_; }
  const Limits& limits() const noexcept { return limits_; }
  int call_depth = 0;  ///< nested evaluations

 private:
  void charge_memory(std::size_t n);

  std::string_view name_;
  const Limits& limits_;
  std::int64_t now_;
  std::uint64_t steps_ = 0;
  std::size_t memory_ = 0;
  std::vector<std::shared_ptr<Namespace>> spaces_;  // cleared at the end: they may form cycles
};

/// Arguments by position or name, as Python binds them. `names`: the parameters in order; required ones first.
class Bound {
 public:
  Bound(Runtime& rt, std::string_view function, const Args& args, std::initializer_list<std::string_view> names,
        std::size_t n_required = 0);
  const Value* find(std::size_t i) const noexcept { return values_[i] ? &*values_[i] : nullptr; }
  const Value& operator[](std::size_t i) const noexcept { return *values_[i]; }  ///< of a required one
  bool flag(std::size_t i, bool otherwise) const noexcept { return values_[i] ? truthy(*values_[i]) : otherwise; }
  std::int64_t integer(std::size_t i, std::int64_t otherwise) const;
  const std::string* text(std::size_t i) const;  ///< null when absent or none

 private:
  Runtime& rt_;
  std::string_view function_;
  std::vector<std::optional<Value>> values_;
};

}  // namespace mtmd::chat
