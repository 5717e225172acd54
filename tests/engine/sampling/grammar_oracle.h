// An independent matcher for tests: its grammars are built in code and matched by plain recursion over code points.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace oracle {

/// All positions where a match of the item that began at `from` may end.
struct Grammar;
using Ends = std::set<std::size_t>;
using Item = std::function<Ends(const Grammar&, const std::u32string&, std::size_t from)>;
struct Grammar {
  std::map<std::string, Item> rules;
};

inline Item text(std::u32string want) {
  return [want](const Grammar&, const std::u32string& s, std::size_t from) {
    return s.compare(from, want.size(), want) == 0 ? Ends{from + want.size()} : Ends{};
  };
}
inline Item any_of(std::function<bool(char32_t)> good) {
  return [good](const Grammar&, const std::u32string& s, std::size_t from) {
    return from < s.size() && good(s[from]) ? Ends{from + 1} : Ends{};
  };
}
inline Item rule(std::string name) {
  return [name](const Grammar& g, const std::u32string& s, std::size_t from) { return g.rules.at(name)(g, s, from); };
}
inline Item seq(std::vector<Item> items) {
  return [items](const Grammar& g, const std::u32string& s, std::size_t from) {
    Ends now = {from};
    for (const Item& item : items) {
      Ends next;
      for (const std::size_t at : now) next.merge(item(g, s, at));
      now = std::move(next);
    }
    return now;
  };
}
inline Item either(std::vector<Item> items) {
  return [items](const Grammar& g, const std::u32string& s, std::size_t from) {
    Ends all;
    for (const Item& item : items) all.merge(item(g, s, from));
    return all;
  };
}
inline Item times(Item item, int min, int max) {
  return [=](const Grammar& g, const std::u32string& s, std::size_t from) {
    Ends now = {from}, all;
    for (int n = 0; n <= max && !now.empty(); ++n) {
      if (n >= min) all.insert(now.begin(), now.end());
      Ends next;
      for (const std::size_t at : now) next.merge(item(g, s, at));
      now = std::move(next);
    }
    return all;
  };
}

inline bool matches(const Grammar& g, const std::u32string& s) { return rule("root")(g, s, 0).contains(s.size()); }

}  // namespace oracle
