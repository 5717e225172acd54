// Global functions, and the table of all filters.
#include <algorithm>

#include "engine/chat/builtins.h"
#include "engine/chat/filter_tables.h"
#include "engine/chat/operators.h"

namespace mtmd::chat {
namespace {

constexpr std::int64_t max_range = 100000;  // Jinja's sandbox has the same limit

Value range(Runtime& rt, const Args& args) {
  const Bound b(rt, "range", args, {"start", "stop", "step"}, 1);
  const bool one = !b.find(1);
  const std::int64_t start = one ? 0 : b.integer(0, 0), stop = one ? b.integer(0, 0) : b.integer(1, 0);
  const std::int64_t step = b.integer(2, 1);
  if (step == 0) rt.fail("range with step 0");
  std::vector<Value> out;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (out.size() == static_cast<std::size_t>(max_range))
      rt.fail(fmt::format("a range of more than {} numbers", max_range));
    out.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return rt.list(std::move(out));
}

Value make_namespace(Runtime& rt, const Args& args) {
  Value v = rt.space();
  auto& attributes = v.space()->attributes;
  for (const Value& mapping : args.positional) {
    if (!mapping.dict()) rt.fail("namespace() takes names or a mapping");
    for (const auto& [key, value] : mapping.dict()->entries) attributes.emplace_back(to_text(key), value);
  }
  for (const auto& [key, value] : args.named) attributes.emplace_back(key, value);
  return v;
}

Value make_dict(Runtime& rt, const Args& args) {
  std::vector<std::pair<Value, Value>> entries;
  if (args.positional.size() > 1) rt.fail("dict() takes one mapping and names");
  if (!args.positional.empty()) {
    if (!args.positional[0].dict()) rt.fail("dict() takes a mapping");
    entries = args.positional[0].dict()->entries;
  }
  for (const auto& [key, value] : args.named) {
    const auto known = std::find_if(entries.begin(), entries.end(),
                                    [&key = key](const auto& e) { return e.first.text() && *e.first.text() == key; });
    if (known != entries.end()) {
      known->second = value;
    } else {
      entries.emplace_back(rt.text(key), value);
    }
  }
  return rt.dict(std::move(entries));
}

Value raise_exception(Runtime& rt, const Args& args) {
  const Bound b(rt, "raise_exception", args, {"message"}, 1);
  rt.refuse(text_of(rt, b[0]));
}

Value strftime_now(Runtime& rt, const Args& args) {
  const Bound b(rt, "strftime_now", args, {"format"}, 1);
  if (!b.text(0)) rt.fail("strftime_now needs a format");
  rt.charge(b.text(0)->size());
  auto text = strftime_utc(*b.text(0), rt.now());
  if (!text) rt.fail(fmt::format("strftime_now: a directive of '{}' is not supported", *b.text(0)));
  return rt.text(std::move(*text));
}

/// joiner(sep): nothing at the first call, `sep` at the others.
Value joiner(Runtime& rt, const Args& args) {
  const Bound b(rt, "joiner", args, {"sep"});
  const Value between = rt.text(b.find(0) ? text_of(rt, b[0]) : ", ");
  return rt.function("joiner", [between, used = std::make_shared<bool>(false)](Runtime& r, const Args&) {
    return std::exchange(*used, true) ? between : r.text("");
  });
}

struct Global {
  std::string_view name;
  Value (*call)(Runtime&, const Args&);
};
constexpr Global table[] = {
    {"range", range},   {"namespace", make_namespace},        {"dict", make_dict},
    {"joiner", joiner}, {"raise_exception", raise_exception}, {"strftime_now", strftime_now},
};

}  // namespace

Value find_global(Runtime& rt, std::string_view name) {
  for (const Global& g : table) {
    if (g.name == name) return rt.function(std::string(name), g.call);
  }
  return {};
}

Filter find_filter(std::string_view name) noexcept {
  for (const auto group : {text_filters(), sequence_filters(), value_filters()}) {
    for (const NamedFilter& f : group) {
      if (f.name == name) return f.filter;
    }
  }
  return nullptr;
}

}  // namespace mtmd::chat
