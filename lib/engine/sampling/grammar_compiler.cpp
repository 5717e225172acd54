#include "engine/sampling/grammar_compiler.h"

#include <map>
#include <unordered_map>

#include "engine/base/error.h"
#include "engine/sampling/grammar.h"
#include "engine/sampling/grammar_utf8.h"

namespace mtmd::grammar {
namespace {

using Op = Instruction::Op;

/// Emits backwards: each function is told where its match goes on and returns where it begins.
class Compiler {
 public:
  explicit Compiler(const Syntax& syntax) : syntax_(syntax) {}

  Program run() {
    const std::size_t n = syntax_.rules.size();
    program_.rules.resize(n);
    program_.root = syntax_.root;
    for (const SyntaxRule& r : syntax_.rules) names_.push_back(r.name);
    for (std::size_t i = 0; i < n; ++i) rule(static_cast<std::uint32_t>(i), syntax_.rules[i].body);
    find_left_recursion();
    find_byte_classes();
    return std::move(program_);
  }

 private:
  Pc add(Op op, Pc next, std::uint32_t operand = 0) {
    if (program_.code.size() >= Grammar::kMaxInstructions)
      fail(ErrorCategory::usage, "grammar: too large, it compiles to more than {} steps (in the rule {}); repeat less",
           Grammar::kMaxInstructions, names_[owner_now_]);
    program_.code.push_back({op, next, operand});
    owner_.push_back(owner_now_);
    return static_cast<Pc>(program_.code.size() - 1);
  }

  void rule(std::uint32_t index, const Expression& body) {
    const std::uint32_t outer = std::exchange(owner_now_, index);
    const Pc begin = emit(body, add(Op::end_of_rule, 0));
    program_.rules[index] = begin;
    owner_now_ = outer;
  }

  Pc emit(const Expression& e, Pc next) {
    switch (e.kind) {
      case Expression::Kind::literal:
        for (auto c = e.text.rbegin(); c != e.text.rend(); ++c) {
          const auto byte = static_cast<std::uint8_t>(*c);
          next = add(Op::bytes, next, set({{byte, byte}}));
        }
        return next;
      case Expression::Kind::characters:
        return characters(e.ranges, next);
      case Expression::Kind::rule:
        return add(Op::call, next, e.rule);
      case Expression::Kind::sequence:
        for (auto part = e.parts.rbegin(); part != e.parts.rend(); ++part) next = emit(*part, next);
        return next;
      case Expression::Kind::choice: {
        Pc begin = emit(e.parts.back(), next);
        for (std::size_t i = e.parts.size() - 1; i-- > 0;) begin = add(Op::split, emit(e.parts[i], next), begin);
        return begin;
      }
      case Expression::Kind::repeat:
        return repeat(e, next);
    }
    return next;
  }

  Pc repeat(const Expression& e, Pc next) {
    const Expression* body = &e.parts.front();
    const bool endless = e.max == Expression::kForever;
    const int copies = e.min + (endless ? 1 : e.max - e.min);
    Expression shared{.kind = Expression::Kind::rule};
    if (copies > 1 && body->kind != Expression::Kind::rule && body->kind != Expression::Kind::characters) {
      shared.rule = static_cast<std::uint32_t>(program_.rules.size());
      program_.rules.push_back(0);
      names_.push_back(names_[owner_now_]);
      rule(shared.rule, *body);
      body = &shared;
    }
    const Pc after = next;
    if (endless) {
      next = add(Op::split, 0, after);
      const Pc begin = emit(*body, next);
      program_.code[next].next = begin;
    } else {
      for (int i = e.min; i < e.max; ++i) next = add(Op::split, emit(*body, next), after);
    }
    for (int i = 0; i < e.min; ++i) next = emit(*body, next);
    return next;
  }

  /// Sequences with the same rest share it, and their first bytes are one set.
  Pc characters(const std::vector<Range>& ranges, Pc next) {
    std::vector<std::vector<ByteRange>> sequences;
    for (const Range& r : ranges)
      for (auto& s : utf8_sequences(r)) sequences.push_back(std::move(s));
    return bytes(sequences, next);
  }

  Pc bytes(const std::vector<std::vector<ByteRange>>& sequences, Pc next) {
    std::map<std::vector<ByteRange>, std::vector<ByteRange>> by_rest;
    for (const auto& s : sequences) by_rest[{s.begin() + 1, s.end()}].push_back(s.front());
    std::map<std::vector<ByteRange>, Pc> begins;
    bool first = true;
    Pc all = next;
    for (const auto& [rest, leads] : by_rest) {
      Pc at = next;
      for (std::size_t i = rest.size(); i-- > 0;) {
        const std::vector<ByteRange> tail(rest.begin() + static_cast<std::ptrdiff_t>(i), rest.end());
        const auto known = begins.find(tail);
        at = known != begins.end() ? known->second : begins[tail] = add(Op::bytes, at, set({rest[i]}));
      }
      const Pc begin = add(Op::bytes, at, set(leads));
      all = first ? begin : add(Op::split, begin, all);
      first = false;
    }
    return all;
  }

  std::uint32_t set(const std::vector<ByteRange>& ranges) {
    ByteSet bits;
    for (const ByteRange& r : ranges)
      for (int b = r.first; b <= r.last; ++b) bits.set(static_cast<std::size_t>(b));
    const auto [found, added] = set_ids_.try_emplace(bits, static_cast<std::uint32_t>(program_.sets.size()));
    if (added) program_.sets.push_back(bits);
    return found->second;
  }

  /// A rule that can reach itself without reading anything. What follows a rule that may be empty is reached as soon as
  /// that is known, so that every instruction is looked at once.
  void find_left_recursion() {
    const std::size_t n = program_.rules.size();
    std::vector<std::vector<Pc>> waiting(n);
    std::vector<std::vector<std::uint32_t>> edges(n);
    std::vector<bool> empty(n, false), seen(program_.code.size(), false);
    std::vector<Pc> work(program_.rules.begin(), program_.rules.end());
    while (!work.empty()) {
      const Pc pc = work.back();
      work.pop_back();
      if (seen[pc]) continue;
      seen[pc] = true;
      const Instruction& i = program_.code[pc];
      if (i.op == Op::split) {
        work.push_back(i.next);
        work.push_back(i.operand);
      } else if (i.op == Op::call) {
        edges[owner_[pc]].push_back(i.operand);
        if (empty[i.operand])
          work.push_back(i.next);
        else
          waiting[i.operand].push_back(i.next);
      } else if (i.op == Op::end_of_rule) {
        empty[owner_[pc]] = true;
        work.insert(work.end(), waiting[owner_[pc]].begin(), waiting[owner_[pc]].end());
        waiting[owner_[pc]].clear();
      }
    }
    find_cycle(edges);
  }

  void find_cycle(const std::vector<std::vector<std::uint32_t>>& edges) const {
    enum : std::uint8_t { fresh, open, closed };
    std::vector<std::uint8_t> state(edges.size(), fresh);
    for (std::uint32_t start = 0; start < edges.size(); ++start) {
      if (state[start] != fresh) continue;
      std::vector<std::pair<std::uint32_t, std::size_t>> path = {{start, 0}};
      state[start] = open;
      while (!path.empty()) {
        auto& [at, edge] = path.back();
        if (edge == edges[at].size()) {
          state[at] = closed;
          path.pop_back();
          continue;
        }
        const std::uint32_t to = edges[at][edge++];
        if (state[to] == open) left_recursion(path, to);
        if (state[to] != fresh) continue;
        state[to] = open;
        path.emplace_back(to, 0);
      }
    }
  }

  [[noreturn]] void left_recursion(const std::vector<std::pair<std::uint32_t, std::size_t>>& path,
                                   std::uint32_t to) const {
    std::string way;
    std::string_view last;
    bool inside = false;
    for (const auto& [rule, edge] : path) {
      inside = inside || rule == to;
      if (!inside || names_[rule] == last) continue;
      if (way.size() > 200) {
        way += " -> ...";
        break;
      }
      way += (way.empty() ? "" : " -> ") + names_[rule];
      last = names_[rule];
    }
    fail(ErrorCategory::usage,
         "grammar: left recursion: the rule {} comes back to itself before it reads anything ({} -> {}); write it with "
         "* or +, or with the recursion at the end",
         names_[to], way, names_[to]);
  }

  void find_byte_classes() {
    int classes[256] = {};
    int n = 1;
    for (const ByteSet& set : program_.sets) {
      std::unordered_map<int, int> moved;  // class -> its part inside the set
      int inside[256] = {}, count[256] = {};
      for (std::size_t b = 0; b < 256; ++b) {
        ++count[classes[b]];
        if (set[b]) ++inside[classes[b]];
      }
      for (std::size_t b = 0; b < 256; ++b) {
        const int c = classes[b];
        if (!set[b] || inside[c] == count[c]) continue;
        const auto [to, added] = moved.try_emplace(c, n);
        if (added) ++n;
        classes[b] = to->second;
      }
    }
    for (std::size_t b = 0; b < 256; ++b) program_.byte_class[b] = static_cast<std::uint8_t>(classes[b]);
    program_.n_classes = static_cast<std::uint32_t>(n);
  }

  const Syntax& syntax_;
  Program program_;
  std::vector<std::string> names_;    // of the rules; a shared part has its rule's
  std::vector<std::uint32_t> owner_;  // of each instruction
  std::uint32_t owner_now_ = 0;
  std::unordered_map<ByteSet, std::uint32_t> set_ids_;
};

}  // namespace

Program compile(const Syntax& syntax) { return Compiler(syntax).run(); }

}  // namespace mtmd::grammar
