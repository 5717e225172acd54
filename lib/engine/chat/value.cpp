#include "engine/chat/value.h"

#include <algorithm>
#include <cmath>

namespace mtmd::chat {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

struct Number {
  bool real = false;
  std::int64_t i = 0;
  double r = 0;
};

Number number(const Value& v) {
  if (const auto* b = v.get<bool>()) return {false, *b, static_cast<double>(*b)};
  if (const auto* i = v.get<std::int64_t>()) return {false, *i, static_cast<double>(*i)};
  return {true, 0, *v.get<double>()};
}

bool equal_items(const List& a, const List& b) {
  return a.tuple == b.tuple && std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), equal);
}

bool equal_entries(const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&b](const auto& entry) {
    const Value* other = b.find(entry.first);
    return other && equal(entry.second, *other);
  });
}

}  // namespace

void Dict::sort_keys() {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].first.text()) sorted.push_back(static_cast<std::uint32_t>(i));
  }
  std::sort(sorted.begin(), sorted.end(),
            [this](std::uint32_t a, std::uint32_t b) { return *entries[a].first.text() < *entries[b].first.text(); });
}

const Value* Dict::find(const Value& key) const {
  if (key.text()) return find(std::string_view(*key.text()));
  for (const auto& [k, v] : entries) {
    if (!k.text() && equal(k, key)) return &v;
  }
  return nullptr;
}

const Value* Dict::find(std::string_view key) const {
  const auto it = std::lower_bound(sorted.begin(), sorted.end(), key, [this](std::uint32_t i, std::string_view k) {
    return *entries[i].first.text() < k;
  });
  if (it == sorted.end() || *entries[*it].first.text() != key) return nullptr;
  return &entries[*it].second;
}

std::size_t weight(const Value& v) noexcept {
  if (v.text()) return v.text()->size() + 2;
  if (v.list()) return v.list()->weight;
  if (v.dict()) return v.dict()->weight;
  return 8;
}

int depth(const Value& v) noexcept {
  if (v.list()) return v.list()->depth;
  if (v.dict()) return v.dict()->depth;
  if (v.loop()) return v.loop()->items->depth;
  if (v.callable()) return v.callable()->depth;
  return 0;
}

std::string_view type_name(const Value& v) noexcept {
  return std::visit(Overloaded{
                        [](const Undefined&) { return "undefined"; },
                        [](const None&) { return "none"; },
                        [](bool) { return "boolean"; },
                        [](std::int64_t) { return "integer"; },
                        [](double) { return "float"; },
                        [](const Text&) { return "string"; },
                        [](const std::shared_ptr<const List>& l) { return l->tuple ? "tuple" : "list"; },
                        [](const std::shared_ptr<const Dict>&) { return "mapping"; },
                        [](const std::shared_ptr<Namespace>&) { return "namespace"; },
                        [](const std::shared_ptr<Loop>&) { return "loop"; },
                        [](const std::shared_ptr<const Callable>&) { return "function"; },
                    },
                    v.data());
}

bool truthy(const Value& v) noexcept {
  return std::visit(Overloaded{
                        [](const Undefined&) { return false; },
                        [](const None&) { return false; },
                        [](bool b) { return b; },
                        [](std::int64_t i) { return i != 0; },
                        [](double r) { return r != 0; },
                        [](const Text& t) { return !t->empty(); },
                        [](const std::shared_ptr<const List>& l) { return !l->items.empty(); },
                        [](const std::shared_ptr<const Dict>& d) { return !d->entries.empty(); },
                        [](const auto&) { return true; },
                    },
                    v.data());
}

bool is_number(const Value& v) noexcept { return v.get<bool>() || v.get<std::int64_t>() || v.get<double>(); }

bool equal(const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) {
    const Number x = number(a), y = number(b);
    return x.real || y.real ? x.r == y.r : x.i == y.i;
  }
  if (a.data().index() != b.data().index()) return false;
  if (a.text()) return *a.text() == *b.text();
  if (a.list()) return equal_items(*a.list(), *b.list());
  if (a.dict()) return equal_entries(*a.dict(), *b.dict());
  if (a.space()) return a.space() == b.space();
  if (a.loop()) return a.loop() == b.loop();
  if (a.callable()) return a.callable() == b.callable();
  return true;  // undefined == undefined, none == none
}

}  // namespace mtmd::chat
