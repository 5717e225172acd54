// Filters on lists and mappings.
#include <algorithm>

#include "engine/chat/filter_tables.h"
#include "engine/chat/operators.h"
#include "engine/chat/utf8.h"

namespace mtmd::chat {

Value follow(Runtime& rt, const Value& object, const Value& path, const Value* otherwise) {
  if (path.get<std::int64_t>()) {
    Value v = item(rt, object, path);
    return v.is_undefined() && otherwise ? *otherwise : v;
  }
  if (!path.text()) rt.fail(fmt::format("an attribute of type {}, expected a string", type_name(path)));
  Value at = object;
  const std::string& text = *path.text();
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const bool number = !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string::npos;
    at = item(rt, at, number ? Value(std::int64_t{std::stoll(part)}) : rt.text(part));
    if (at.is_undefined() && otherwise) return *otherwise;
    begin = end + 1;
  }
  return at;
}

namespace {

/// What sorting, min, max and unique compare: an attribute perhaps, strings without case unless asked.
Value sort_key(Runtime& rt, const Value& v, const Value* attribute, bool case_sensitive) {
  Value key = attribute && !attribute->is_none() ? follow(rt, v, *attribute) : v;
  if (case_sensitive || !key.text()) return key;
  return rt.text(to_lower(*key.text()));
}

std::vector<Value> sorted(Runtime& rt, std::vector<Value> items, const std::vector<Value>& keys, bool reverse) {
  std::vector<std::size_t> order(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    rt.charge();
    return reverse ? compare(rt, Op::lt, keys[b], keys[a]) : compare(rt, Op::lt, keys[a], keys[b]);
  });
  std::vector<Value> out;
  for (const std::size_t i : order) out.push_back(std::move(items[i]));
  return out;
}

Value sort(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "sort", args, {"reverse", "case_sensitive", "attribute"});
  std::vector<Value> items = elements(rt, v), keys;
  for (const Value& i : items) keys.push_back(sort_key(rt, i, b.find(2), b.flag(1, false)));
  return rt.list(sorted(rt, std::move(items), keys, b.flag(0, false)));
}

Value dictsort(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "dictsort", args, {"case_sensitive", "by", "reverse"});
  if (!v.dict()) rt.fail(fmt::format("dictsort: a value of type {}, expected a mapping", type_name(v)));
  const std::string by = b.text(1) ? *b.text(1) : "key";
  if (by != "key" && by != "value") rt.fail("dictsort: 'by' must be key or value");
  std::vector<Value> items, keys;
  for (const auto& [key, value] : v.dict()->entries) {
    items.push_back(rt.list({key, value}, true));
    keys.push_back(sort_key(rt, by == "key" ? key : value, nullptr, b.flag(0, false)));
  }
  return rt.list(sorted(rt, std::move(items), keys, b.flag(2, false)));
}

Value unique(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "unique", args, {"case_sensitive", "attribute"});
  std::vector<Value> out, seen;
  for (const Value& i : elements(rt, v)) {
    Value key = sort_key(rt, i, b.find(1), b.flag(0, false));
    const bool known = std::any_of(seen.begin(), seen.end(), [&](const Value& s) {
      rt.charge();
      return same(rt, s, key);
    });
    if (known) continue;
    seen.push_back(std::move(key));
    out.push_back(i);
  }
  return rt.list(std::move(out));
}

Value extreme(Runtime& rt, const Value& v, const Args& args, std::string_view name, Op better) {
  const Bound b(rt, name, args, {"case_sensitive", "attribute"});
  Value best, best_key;
  for (const Value& i : elements(rt, v)) {
    rt.charge();
    Value key = sort_key(rt, i, b.find(1), b.flag(0, false));
    if (best_key.is_undefined() || compare(rt, better, key, best_key)) {
      best = i;
      best_key = std::move(key);
    }
  }
  return best;
}

Value min(Runtime& rt, const Value& v, const Args& args) { return extreme(rt, v, args, "min", Op::lt); }
Value max(Runtime& rt, const Value& v, const Args& args) { return extreme(rt, v, args, "max", Op::gt); }

Value sum(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "sum", args, {"attribute", "start"});
  Value total = b.find(1) ? b[1] : Value(std::int64_t{0});
  for (const Value& i : elements(rt, v)) {
    rt.charge();
    total = binary(rt, Op::add, total, b.find(0) && !b[0].is_none() ? follow(rt, i, b[0]) : i);
  }
  return total;
}

Value join(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "join", args, {"d", "attribute"});
  const std::string between = b.find(0) ? text_of(rt, b[0]) : "";
  std::string out;
  bool first = true;
  for (const Value& i : elements(rt, v)) {
    rt.charge();
    if (!first) rt.append(out, between);
    first = false;
    rt.append(out, text_of(rt, b.find(1) && !b[1].is_none() ? follow(rt, i, b[1]) : i));
  }
  return rt.text(std::move(out));
}

Value first(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "first", args, {});
  const auto items = elements(rt, v);
  return items.empty() ? Value() : items.front();
}

Value last(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "last", args, {});
  const auto items = elements(rt, v);
  return items.empty() ? Value() : items.back();
}

Value length_filter(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "length", args, {});
  return length(rt, v);
}

Value list(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "list", args, {});
  return rt.list(elements(rt, v));
}

Value items(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "items", args, {});
  if (v.is_undefined()) return rt.list({});
  if (!v.dict()) rt.fail(fmt::format("items: a value of type {}, expected a mapping", type_name(v)));
  std::vector<Value> out;
  for (const auto& [key, value] : v.dict()->entries) out.push_back(rt.list({key, value}, true));
  return rt.list(std::move(out));
}

Value reverse(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "reverse", args, {});
  auto items = elements(rt, v);
  std::reverse(items.begin(), items.end());
  if (!v.text()) return rt.list(std::move(items));
  std::string out;
  for (const Value& i : items) out += *i.text();
  return rt.text(std::move(out));
}

Value batch(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "batch", args, {"linecount", "fill_with"}, 1);
  const std::int64_t n = b.integer(0, 1);
  if (n < 1 || n > 100000) rt.fail("batch: the size must be 1 to 100000");
  std::vector<Value> out, row;
  for (Value& i : elements(rt, v)) {
    row.push_back(std::move(i));
    if (row.size() == static_cast<std::size_t>(n)) out.push_back(rt.list(std::exchange(row, {})));
  }
  if (!row.empty()) {
    if (b.find(1) && !b[1].is_none()) row.resize(static_cast<std::size_t>(n), b[1]);
    out.push_back(rt.list(std::move(row)));
  }
  return rt.list(std::move(out));
}

Value map(Runtime& rt, const Value& v, const Args& args) {
  std::vector<Value> out;
  if (args.positional.empty()) {
    const Bound b(rt, "map", args, {"attribute", "default"}, 1);
    for (const Value& i : elements(rt, v)) {
      rt.charge();
      out.push_back(follow(rt, i, b[0], b.find(1)));
    }
    return rt.list(std::move(out));
  }
  const std::string* name = args.positional[0].text();
  const Filter filter = name ? find_filter(*name) : nullptr;
  if (!filter) rt.fail(fmt::format("map: the filter {} is not supported", repr(args.positional[0])));
  const Args rest{{args.positional.begin() + 1, args.positional.end()}, args.named};
  for (const Value& i : elements(rt, v)) {
    rt.charge();
    out.push_back(filter(rt, i, rest));
  }
  return rt.list(std::move(out));
}

/// select, reject, selectattr, rejectattr: items for which the test (truth, when none is named) gives `wanted`.
Value choose(Runtime& rt, const Value& v, const Args& args, std::string_view filter, bool by_attribute, bool wanted) {
  std::size_t at = 0;
  Value path;
  if (by_attribute) {
    if (args.positional.empty()) rt.fail(fmt::format("{} needs an attribute", filter));
    path = args.positional[at++];
  }
  Test test = nullptr;
  Args rest{{}, args.named};
  if (at < args.positional.size()) {
    const std::string* name = args.positional[at].text();
    test = name ? find_test(*name) : nullptr;
    if (!test) rt.fail(fmt::format("{}: the test {} is not supported", filter, repr(args.positional[at])));
    rest.positional.assign(args.positional.begin() + static_cast<std::ptrdiff_t>(at) + 1, args.positional.end());
  }
  std::vector<Value> out;
  for (const Value& i : elements(rt, v)) {
    rt.charge();
    const Value subject = by_attribute ? follow(rt, i, path) : i;
    if ((test ? test(rt, subject, rest) : truthy(subject)) == wanted) out.push_back(i);
  }
  return rt.list(std::move(out));
}

Value select(Runtime& rt, const Value& v, const Args& a) { return choose(rt, v, a, "select", false, true); }
Value reject(Runtime& rt, const Value& v, const Args& a) { return choose(rt, v, a, "reject", false, false); }
Value selectattr(Runtime& rt, const Value& v, const Args& a) { return choose(rt, v, a, "selectattr", true, true); }
Value rejectattr(Runtime& rt, const Value& v, const Args& a) { return choose(rt, v, a, "rejectattr", true, false); }

constexpr NamedFilter table[] = {
    {"sort", sort},
    {"dictsort", dictsort},
    {"unique", unique},
    {"min", min},
    {"max", max},
    {"sum", sum},
    {"join", join},
    {"first", first},
    {"last", last},
    {"length", length_filter},
    {"count", length_filter},
    {"list", list},
    {"items", items},
    {"reverse", reverse},
    {"batch", batch},
    {"map", map},
    {"select", select},
    {"reject", reject},
    {"selectattr", selectattr},
    {"rejectattr", rejectattr},
};

}  // namespace

std::span<const NamedFilter> sequence_filters() noexcept { return table; }

}  // namespace mtmd::chat
