// Values of the template language. Lists and dicts never change after they are made (Hugging Face renders in an
// immutable sandbox), so values form no cycles except through namespaces and macro scopes, which the Runtime owns and
// clears.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mtmd::chat {

class Runtime;
class Value;
struct Args;

/// A name or key that does not exist: prints as nothing, is false, has no attributes. `what` is for messages.
struct Undefined {
  std::shared_ptr<const std::string> what;
};
struct None {};

struct List;
struct Dict;
struct Namespace;
struct Loop;
struct Callable;

using Text = std::shared_ptr<const std::string>;  ///< UTF-8; invalid bytes count as one character each

class Value {
 public:
  using Data = std::variant<Undefined, None, bool, std::int64_t, double, Text, std::shared_ptr<const List>,
                            std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, std::shared_ptr<Loop>,
                            std::shared_ptr<const Callable>>;
  Value() = default;
  Value(Data data) : data_(std::move(data)) {}  // NOLINT(google-explicit-constructor): any alternative is a value
  template <class T>
  requires std::is_constructible_v<Data, std::in_place_type_t<T>, T> Value(T v)
      : data_(std::in_place_type<T>, std::move(v)) {}  // NOLINT(google-explicit-constructor)

  const Data& data() const noexcept { return data_; }
  template <class T>
  const T* get() const noexcept {
    return std::get_if<T>(&data_);
  }
  bool is_undefined() const noexcept { return get<Undefined>(); }
  bool is_none() const noexcept { return get<None>(); }
  const std::string* text() const noexcept {
    const Text* t = get<Text>();
    return t ? t->get() : nullptr;
  }
  const List* list() const noexcept {
    const auto* l = get<std::shared_ptr<const List>>();
    return l ? l->get() : nullptr;
  }
  const Dict* dict() const noexcept {
    const auto* d = get<std::shared_ptr<const Dict>>();
    return d ? d->get() : nullptr;
  }
  Namespace* space() const noexcept {
    const auto* n = get<std::shared_ptr<Namespace>>();
    return n ? n->get() : nullptr;
  }
  Loop* loop() const noexcept {
    const auto* l = get<std::shared_ptr<Loop>>();
    return l ? l->get() : nullptr;
  }
  const Callable* callable() const noexcept {
    const auto* c = get<std::shared_ptr<const Callable>>();
    return c ? c->get() : nullptr;
  }

 private:
  Data data_;
};

/// `depth`: nesting of containers below and with this one. `weight`: about the bytes that it takes when written out
/// (shared parts count each time). Both are bounded when a container is made, so that recursion over values is.
struct List {
  std::vector<Value> items;
  bool tuple = false;
  int depth = 1;
  std::size_t weight = 0;
};

struct Dict {
  std::vector<std::pair<Value, Value>> entries;  ///< in insertion order; keys differ; few are no strings
  std::vector<std::uint32_t> sorted;             ///< entries whose key is a string, by that string
  int depth = 1;
  std::size_t weight = 0;
  void sort_keys();
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
};

/// namespace(…): the one thing that `set x.y = …` changes.
struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
};

/// The `loop` variable of a for block.
struct Loop {
  std::shared_ptr<const List> items;
  std::size_t index0 = 0;
  int depth0 = 0;
  std::string last_changed;                 ///< arguments of the last loop.changed(…), written out
  std::shared_ptr<const Callable> recurse;  ///< of a recursive loop
};

struct Callable {
  std::string name;
  std::function<Value(Runtime&, const Args&)> call;
  int depth = 0;  ///< of the values that it holds
};

struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

std::size_t weight(const Value& v) noexcept;
int depth(const Value& v) noexcept;                   ///< nesting of what it holds: 0 for plain values
std::string_view type_name(const Value& v) noexcept;  ///< as in messages: "string", "list", …
bool truthy(const Value& v) noexcept;
bool is_number(const Value& v) noexcept;     ///< boolean, integer, real
bool equal(const Value& a, const Value& b);  ///< Python's ==
std::string to_text(const Value& v);         ///< Python's str(); undefined is empty
std::string repr(const Value& v);            ///< Python's repr()
std::string real_text(double v);             ///< Python's repr(float)

/// -1 spaces: one line, separators ", " and ": ". Otherwise one item a line. Undefined and callables cannot be written:
/// the name of the offending type is left in `unsupported`.
struct JsonStyle {
  int indent = -1;
  bool sort_keys = false, ascii = false;
  std::string item_separator, key_separator;  ///< empty: the usual
};
std::string to_json(const Value& v, const JsonStyle& style, std::string& unsupported);

}  // namespace mtmd::chat
