// Attributes, subscripts, slices, iteration.
#include <algorithm>

#include "engine/chat/operators.h"
#include "engine/chat/utf8.h"

namespace mtmd::chat {
namespace {

Value missing(std::string_view object_type, std::string_view name) {
  return Undefined{std::make_shared<const std::string>(fmt::format("'{}' of a {}", name, object_type))};
}

[[noreturn]] void of_undefined(Runtime& rt, const Undefined& u, std::string_view name) {
  rt.fail(fmt::format("{} is undefined, so it has no '{}'", u.what ? *u.what : "a value", name));
}

Value loop_cycle(Runtime& rt, const Args& args, std::size_t index0) {
  if (args.positional.empty()) rt.fail("loop.cycle() without values");
  return args.positional[index0 % args.positional.size()];
}

bool loop_changed(Runtime& rt, Loop& loop, const Args& args) {
  std::string now = "(";  // never empty, so the first call is a change
  for (const Value& v : args.positional) {
    rt.charge_bytes(weight(v));
    rt.append(now, repr(v) + ", ");
  }
  return std::exchange(loop.last_changed, now) != now;
}

Value loop_attribute(Runtime& rt, const std::shared_ptr<Loop>& loop, std::string_view name) {
  const auto& items = loop->items->items;
  const auto i = static_cast<std::int64_t>(loop->index0), n = static_cast<std::int64_t>(items.size());
  if (name == "index") return i + 1;
  if (name == "index0") return i;
  if (name == "revindex") return n - i;
  if (name == "revindex0") return n - i - 1;
  if (name == "first") return i == 0;
  if (name == "last") return i == n - 1;
  if (name == "length") return n;
  if (name == "depth") return std::int64_t{loop->depth0} + 1;
  if (name == "depth0") return std::int64_t{loop->depth0};
  if (name == "previtem") return i > 0 ? items[loop->index0 - 1] : missing("loop", name);
  if (name == "nextitem") return i + 1 < n ? items[loop->index0 + 1] : missing("loop", name);
  if (name == "cycle") {
    return rt.function("loop.cycle", [at = loop->index0](Runtime& r, const Args& a) { return loop_cycle(r, a, at); });
  }
  if (name == "changed") {
    return rt.function(
        "loop.changed", [loop](Runtime& r, const Args& a) { return Value(loop_changed(r, *loop, a)); },
        loop->items->depth);
  }
  return missing("loop", name);
}

const Value* space_attribute(const Namespace& space, std::string_view name) {
  for (const auto& [key, value] : space.attributes) {
    if (key == name) return &value;
  }
  return nullptr;
}

/// What Python's getattr finds; undefined when nothing.
Value own_attribute(Runtime& rt, const Value& object, std::string_view name) {
  if (const auto* loop = object.get<std::shared_ptr<Loop>>()) return loop_attribute(rt, *loop, name);
  if (const auto* space = object.space()) {
    const Value* v = space_attribute(*space, name);
    return v ? *v : missing("namespace", name);
  }
  if (const auto* c = object.callable(); c && name == "name") return rt.text(c->name);
  return find_method(rt, object, name);
}

std::optional<std::int64_t> slice_bound(Runtime& rt, const Value* v) {
  if (!v || v->is_none()) return std::nullopt;
  if (const auto* i = v->get<std::int64_t>()) return *i;
  rt.fail(fmt::format("a slice bound of type {}, expected an integer", type_name(*v)));
}

/// Python's slice indices over n items.
std::vector<std::size_t> slice_indices(Runtime& rt, std::int64_t n, const Value* start, const Value* stop,
                                       const Value* step) {
  const std::int64_t by = slice_bound(rt, step).value_or(1);
  if (by == 0) rt.fail("a slice with step 0");
  // Running down, the bounds lie between -1 (before the first) and n - 1.
  const std::int64_t low = by > 0 ? 0 : -1, high = by > 0 ? n : n - 1;
  const auto bound = [&](const Value* v, std::int64_t otherwise) {
    const auto given = slice_bound(rt, v);
    return given ? std::clamp(*given < 0 ? *given + n : *given, low, high) : otherwise;
  };
  const std::int64_t first = bound(start, by > 0 ? 0 : n - 1), last = bound(stop, by > 0 ? n : -1);
  std::vector<std::size_t> out;
  for (std::int64_t i = first; by > 0 ? i < last : i > last;) {
    out.push_back(static_cast<std::size_t>(i));
    if (__builtin_add_overflow(i, by, &i)) break;
  }
  return out;
}

}  // namespace

Value attribute(Runtime& rt, const Value& object, std::string_view name) {
  if (const auto* u = object.get<Undefined>()) of_undefined(rt, *u, name);
  Value own = own_attribute(rt, object, name);
  if (!own.is_undefined() || !object.dict()) {
    return own.is_undefined() ? missing(type_name(object), name) : own;
  }
  rt.charge(object.dict()->entries.size() / 16);
  const Value* v = object.dict()->find(name);
  return v ? *v : missing(type_name(object), name);
}

Value item(Runtime& rt, const Value& object, const Value& key) {
  if (const auto* u = object.get<Undefined>()) of_undefined(rt, *u, to_text(key));
  if (const auto* dict = object.dict()) {
    rt.charge(dict->entries.size() / 16);
    if (const Value* v = dict->find(key)) return *v;
  }
  const auto* index = key.get<std::int64_t>();
  if (index && object.list()) {
    const auto& items = object.list()->items;
    const auto n = static_cast<std::int64_t>(items.size());
    const std::int64_t i = *index < 0 ? *index + n : *index;
    if (i >= 0 && i < n) return items[static_cast<std::size_t>(i)];
  } else if (index && object.text()) {
    rt.charge_bytes(object.text()->size());
    const auto parts = split_code_points(*object.text());
    const auto n = static_cast<std::int64_t>(parts.size());
    const std::int64_t i = *index < 0 ? *index + n : *index;
    if (i >= 0 && i < n) return rt.text(std::string(parts[static_cast<std::size_t>(i)]));
  } else if (key.text()) {
    Value own = own_attribute(rt, object, *key.text());
    if (!own.is_undefined()) return own;
  }
  return missing(type_name(object), key.text() || is_number(key) ? to_text(key) : std::string(type_name(key)));
}

Value slice(Runtime& rt, const Value& object, const Value* start, const Value* stop, const Value* step) {
  if (const auto* list = object.list()) {
    std::vector<Value> out;
    for (const std::size_t i : slice_indices(rt, static_cast<std::int64_t>(list->items.size()), start, stop, step)) {
      out.push_back(list->items[i]);
    }
    return rt.list(std::move(out), list->tuple);
  }
  if (const auto* text = object.text()) {
    rt.charge_bytes(4 * text->size());
    const auto parts = split_code_points(*text);
    std::string out;
    for (const std::size_t i : slice_indices(rt, static_cast<std::int64_t>(parts.size()), start, stop, step))
      out += parts[i];
    return rt.text(std::move(out));
  }
  if (const auto* u = object.get<Undefined>()) of_undefined(rt, *u, "[…:…]");
  rt.fail(fmt::format("a value of type {} cannot be sliced", type_name(object)));
}

std::int64_t length(Runtime& rt, const Value& v) {
  if (const auto* text = v.text()) {
    rt.charge_bytes(text->size());
    return static_cast<std::int64_t>(count_code_points(*text));
  }
  if (v.list()) return static_cast<std::int64_t>(v.list()->items.size());
  if (v.dict()) return static_cast<std::int64_t>(v.dict()->entries.size());
  if (v.is_undefined()) return 0;
  if (v.loop()) return static_cast<std::int64_t>(v.loop()->items->items.size());
  rt.fail(fmt::format("a value of type {} has no length", type_name(v)));
}

std::vector<Value> elements(Runtime& rt, const Value& v) {
  if (v.list()) {
    rt.charge(v.list()->items.size() / 4);
    return v.list()->items;
  }
  std::vector<Value> out;
  if (v.dict()) {
    rt.charge(v.dict()->entries.size() / 4);
    for (const auto& [key, value] : v.dict()->entries) out.push_back(key);
  } else if (v.text()) {
    for (const auto part : split_code_points(*v.text())) {
      rt.charge();
      out.push_back(rt.text(std::string(part)));
    }
  } else if (!v.is_undefined()) {
    rt.fail(fmt::format("a value of type {} has no elements to go through", type_name(v)));
  }
  return out;
}

std::string text_of(Runtime& rt, const Value& v) {
  rt.charge_bytes(weight(v));
  return to_text(v);
}

}  // namespace mtmd::chat
