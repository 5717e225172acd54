#include "engine/tokenizer/special_tokens.h"

#include <algorithm>
#include <functional>
#include <map>

#include "engine/base/error.h"

namespace mtmd {
namespace {

constexpr std::size_t kMaxBytes =
    4u << 20;  // real vocabularies stay below 200 KB; an automaton needs 100 times its text

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

PhraseFinder::PhraseFinder(std::span<const Phrase> phrases) {
  std::size_t total = 0;
  for (const Phrase& p : phrases) total += p.first.size();
  children_.reserve(total);
  struct Edge {
    std::size_t depth;
    std::uint32_t parent, child;
    unsigned char byte;
  };
  std::vector<Edge> edges;
  for (const auto& [text, token] : phrases) {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      std::uint32_t next = child(node, byte);
      if (next == 0) {
        next = static_cast<std::uint32_t>(nodes_.size());
        nodes_.emplace_back();
        children_.add(node, byte, {.rank = 0, .symbol = next});
        edges.push_back({i, node, next, byte});
      }
      node = next;
    }
    nodes_[node].token = token;
    begins_[static_cast<unsigned char>(text.front())] = true;
  }
  std::stable_sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.depth < b.depth; });
  for (const Edge& e : edges) {
    const std::uint32_t back = e.parent == 0 ? 0 : step(nodes_[e.parent].fallback, e.byte);
    nodes_[e.child].fallback = back;
    nodes_[e.child].shorter = nodes_[back].token >= 0 ? back : nodes_[back].shorter;
  }
}

std::uint32_t PhraseFinder::child(std::uint32_t node, unsigned char byte) const noexcept {
  return children_.find(node, byte).symbol;
}

std::uint32_t PhraseFinder::step(std::uint32_t node, unsigned char byte) const noexcept {
  for (;;) {
    const std::uint32_t next = child(node, byte);
    if (next != 0 || node == 0) return next;
    node = nodes_[node].fallback;
  }
}

std::vector<Token> PhraseFinder::occurring(std::string_view text) const {
  std::vector<Token> tokens;
  std::vector<bool> seen;
  std::uint32_t node = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (node == 0 && !begins_[byte]) continue;
    node = step(node, byte);
    for (std::uint32_t n = node; n != 0; n = nodes_[n].shorter) {
      if (nodes_[n].token < 0) continue;
      if (seen.empty()) seen.resize(nodes_.size());
      if (seen[n]) break;
      seen[n] = true;
      tokens.push_back(nodes_[n].token);
    }
  }
  return tokens;
}

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary)
    : vocabulary_(vocabulary), always_{PhraseFinder({}), {}, {}}, with_special_{PhraseFinder({}), {}, {}} {
  std::vector<PhraseFinder::Phrase> always, all;
  std::size_t total = 0;
  for (Token t = 0; t < vocabulary.size(); ++t) {
    const bool user_defined = vocabulary.types[t] == TokenType::user_defined;
    if (vocabulary.texts[t].empty() || (!user_defined && !vocabulary.is_special(t))) continue;
    if ((total += vocabulary.texts[t].size()) > kMaxBytes)
      fail(ErrorCategory::model, "{}: the special tokens are longer than {} bytes together", vocabulary.file,
           kMaxBytes);
    all.emplace_back(vocabulary.texts[t], t);
    if (user_defined) always.emplace_back(vocabulary.texts[t], t);
  }
  always_ = make(always);
  with_special_ = make(all);
}

SpecialTokens::Group SpecialTokens::make(const std::vector<PhraseFinder::Phrase>& phrases) {
  std::map<std::size_t, std::vector<PhraseFinder::Phrase>, std::greater<>> lengths;
  for (const auto& phrase : phrases) lengths[phrase.first.size()].push_back(phrase);
  Group group{PhraseFinder(phrases), {}, {}};
  for (const auto& [length, same] : lengths) {
    group.lengths.push_back(length);
    group.by_length.emplace_back(same);
  }
  return group;
}

std::vector<Fragment> SpecialTokens::partition(std::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments;
  if (text.empty()) return fragments;
  fragments.push_back({.text = text});
  const Group& group = parse_special ? with_special_ : always_;
  std::vector<bool> present(group.lengths.size());
  for (const Token t : group.any.occurring(text)) {
    const auto at =
        std::lower_bound(group.lengths.begin(), group.lengths.end(), vocabulary_.texts[t].size(), std::greater<>());
    present[static_cast<std::size_t>(at - group.lengths.begin())] = true;
  }
  for (std::size_t i = 0; i < present.size(); ++i)
    if (present[i]) fragments = cut(group.by_length[i], fragments);
  return fragments;
}

std::vector<Fragment> SpecialTokens::cut(const PhraseFinder& finder, const std::vector<Fragment>& fragments) const {
  std::vector<Fragment> result;
  for (const Fragment& fragment : fragments) {
    if (fragment.token >= 0) {
      result.push_back(fragment);
      continue;
    }
    const std::string_view text = fragment.text;
    std::size_t rest = 0;
    finder.scan(text, [&](std::size_t end, Token token) {
      const std::size_t begin = end - vocabulary_.texts[token].size();
      if (begin < rest) return;  // begins in white space that the token before has swallowed
      if (begin > rest) result.push_back({.text = text.substr(rest, begin - rest)});
      result.push_back({.text = {}, .token = token});
      rest = end;
      while (vocabulary_.strips_right[token] && rest < text.size() && is_space(text[rest])) ++rest;
    });
    if (rest < text.size()) result.push_back({.text = text.substr(rest)});
  }
  return result;
}

}  // namespace mtmd
