#include "engine/chat/runtime.h"

#include <algorithm>

#include "engine/base/error.h"

namespace mtmd::chat {

Runtime::~Runtime() {
  for (const auto& s : spaces_) s->attributes.clear();
}

void Runtime::charge(std::size_t steps) {
  steps_ += steps;
  if (steps_ > limits_.max_steps) fail(fmt::format("the template needs more than {} steps", limits_.max_steps));
}

void Runtime::charge_memory(std::size_t n) {
  memory_ += n;
  if (memory_ > limits_.max_memory_bytes) {
    fail(fmt::format("the template makes more than {} MB of values", limits_.max_memory_bytes >> 20));
  }
}

Value Runtime::text(std::string s) {
  if (s.size() > limits_.max_output_bytes) {
    fail(fmt::format("a string of {} bytes; at most {} are allowed", s.size(), limits_.max_output_bytes));
  }
  charge_memory(s.size() + 64);
  charge_bytes(s.size());
  return Value(std::make_shared<const std::string>(std::move(s)));
}

namespace {

template <class Container>
void check_container(const Runtime& rt, const Container& c) {
  if (c.depth > rt.limits().max_depth) {
    rt.fail(fmt::format("values nested deeper than {} levels", rt.limits().max_depth));
  }
  if (c.weight > rt.limits().max_memory_bytes) rt.fail("a list or mapping that is too large");
}

}  // namespace

Value Runtime::list(std::vector<Value> items, bool tuple) {
  auto list = std::make_shared<List>();
  list->items = std::move(items);
  list->tuple = tuple;
  list->weight = 2;
  for (const Value& v : list->items) {
    list->depth = std::max(list->depth, depth(v) + 1);
    list->weight += weight(v) + 2;  // each is bounded, and a vector has less than 2^58 items
  }
  check_container(*this, *list);
  charge_memory(64 + list->items.size() * sizeof(Value));
  charge(list->items.size() / 4);
  return Value(std::shared_ptr<const List>(std::move(list)));
}

Value Runtime::dict(std::vector<std::pair<Value, Value>> entries) {
  auto dict = std::make_shared<Dict>();
  dict->entries = std::move(entries);
  dict->weight = 2;
  for (const auto& [key, value] : dict->entries) {
    dict->depth = std::max({dict->depth, depth(key) + 1, depth(value) + 1});
    dict->weight += weight(key) + weight(value) + 4;
  }
  check_container(*this, *dict);
  if (dict->entries.size() > UINT32_MAX) fail("a mapping that is too large");
  dict->sort_keys();
  // Only strings are looked up fast.
  if (dict->entries.size() - dict->sorted.size() > 64) fail("a mapping with more than 64 keys that are no strings");
  charge_memory(64 + dict->entries.size() * (2 * sizeof(Value) + 4));
  charge(dict->entries.size() / 4);
  return Value(std::shared_ptr<const Dict>(std::move(dict)));
}

Value Runtime::space() {
  charge_memory(128);
  spaces_.push_back(std::make_shared<Namespace>());
  return Value(spaces_.back());
}

Value Runtime::function(std::string name, std::function<Value(Runtime&, const Args&)> call, int depth) {
  charge_memory(192);
  return Value(std::make_shared<const Callable>(Callable{std::move(name), std::move(call), depth}));
}

void Runtime::fail(std::string_view what) const {
  if (at.line == 0) mtmd::fail(ErrorCategory::input, "{}: in the variables given to the template: {}", name_, what);
  mtmd::fail(ErrorCategory::model, "{}: line {}, column {}: {}", name_, at.line, at.column, what);
}

void Runtime::refuse(std::string_view what) const {
  mtmd::fail(ErrorCategory::input, "{}: line {}: the template refuses this conversation: {}", name_, at.line, what);
}

Value Runtime::call(const Value& callee, const Args& args) {
  if (const Callable* c = callee.callable()) return c->call(*this, args);
  if (const Loop* loop = callee.loop()) {
    if (!loop->recurse) fail("loop(...) is only for a loop that is marked recursive");
    return loop->recurse->call(*this, args);
  }
  if (const auto* u = callee.get<Undefined>()) {
    fail(fmt::format("{} is undefined, so it cannot be called", u->what ? *u->what : "this value"));
  }
  fail(fmt::format("a value of type {} cannot be called", type_name(callee)));
}

void Runtime::append(std::string& to, std::string_view text) {
  if (to.size() + text.size() > limits_.max_output_bytes) {
    fail(fmt::format("the template writes more than {} bytes", limits_.max_output_bytes));
  }
  charge_bytes(text.size());
  to += text;
}

Bound::Bound(Runtime& rt, std::string_view function, const Args& args, std::initializer_list<std::string_view> names,
             std::size_t n_required)
    : rt_(rt), function_(function), values_(names.size()) {
  if (args.positional.size() > names.size()) {
    rt.fail(fmt::format("{} takes at most {} arguments, found {}", function, names.size(), args.positional.size()));
  }
  for (std::size_t i = 0; i < args.positional.size(); ++i) values_[i] = args.positional[i];
  for (const auto& [key, value] : args.named) {
    const auto it = std::find(names.begin(), names.end(), key);
    if (it == names.end()) rt.fail(fmt::format("{} has no argument '{}'", function, key));
    auto& slot = values_[static_cast<std::size_t>(it - names.begin())];
    if (slot) rt.fail(fmt::format("{} got two values for '{}'", function, key));
    slot = value;
  }
  for (std::size_t i = 0; i < n_required; ++i) {
    if (!values_[i]) rt.fail(fmt::format("{} needs the argument '{}'", function, names.begin()[i]));
  }
}

std::int64_t Bound::integer(std::size_t i, std::int64_t otherwise) const {
  if (!values_[i] || values_[i]->is_none()) return otherwise;
  if (const auto* n = values_[i]->get<std::int64_t>()) return *n;
  if (const auto* b = values_[i]->get<bool>()) return *b;
  rt_.fail(fmt::format("{}: argument {} is of type {}, expected an integer", function_, i + 1, type_name(*values_[i])));
}

const std::string* Bound::text(std::size_t i) const {
  if (!values_[i] || values_[i]->is_none()) return nullptr;
  if (values_[i]->text()) return values_[i]->text();
  rt_.fail(fmt::format("{}: argument {} is of type {}, expected a string", function_, i + 1, type_name(*values_[i])));
}

}  // namespace mtmd::chat
