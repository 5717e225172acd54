#include "engine/tokenizer/dfa.h"

#include <algorithm>
#include <map>
#include <utility>

#include "engine/base/error.h"

namespace mtmd {
namespace {

constexpr std::uint32_t kEnd = 0;            // class of the end of the text
constexpr std::size_t kFar = 64;             // bytes past a match from which remembering pays
using Threads = std::vector<std::uint16_t>;  // instructions other than split, most preferred first

/// Follows splits.
void enter(const Program& program, std::uint16_t at, std::vector<bool>& seen, Threads& out) {
  if (seen[at]) return;
  seen[at] = true;
  const Instruction& i = program.code[at];
  if (i.kind != Instruction::Kind::split) return out.push_back(at);
  for (const std::uint16_t way : i.ways) enter(program, way, seen, out);
}

/// What becomes of a list of threads when a character of class `cls` comes next.
class Step {
 public:
  Step(const Program& program, const std::vector<bool>& belongs, bool at_end)
      : program_(program), belongs_(belongs), at_end_(at_end), now_(program.code.size()), then_(program.code.size()) {}

  void run(const Threads& threads) {
    for (const std::uint16_t t : threads) {
      now_[t] = true;
      thread(t);
      if (matched) return;
    }
  }
  Threads next;
  bool matched = false;

 private:
  void thread(std::uint16_t at) {
    const Instruction& i = program_.code[at];
    if (i.kind == Instruction::Kind::match) {
      matched = true;
    } else if (i.kind == Instruction::Kind::set) {
      if (!at_end_ && belongs_[i.set]) enter(program_, i.next, then_, next);
    } else if ((!at_end_ && belongs_[i.set]) != i.negative) {
      Threads further;
      enter(program_, i.next, now_, further);
      for (const std::uint16_t t : further) {
        thread(t);
        if (matched) return;
      }
    }
  }

  const Program& program_;
  const std::vector<bool>& belongs_;
  bool at_end_;
  std::vector<bool> now_, then_;
};

}  // namespace

Dfa::Dfa(const Program& program) {
  make_classes(program.sets);
  make_states(program);
}

// Code points that belong to the same sets are one class.
void Dfa::make_classes(const std::vector<unicode::Set>& sets) {
  std::vector<unicode::Set> ordered;
  std::vector<std::uint32_t> borders = {0};
  for (const auto& set : sets) {
    ordered.push_back(set.normalised());
    for (const auto r : ordered.back().ranges()) borders.insert(borders.end(), {r.first, r.last + 1});
  }
  std::sort(borders.begin(), borders.end());
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  while (!borders.empty() && borders.back() > unicode::kMax) borders.pop_back();

  std::map<std::vector<bool>, std::uint8_t> known;
  belongs_.emplace_back(sets.size());    // the end of the text belongs to nothing
  std::vector<std::uint8_t> class_from;  // of the code points from each border to the next
  for (const std::uint32_t first : borders) {
    std::vector<bool> in(sets.size());
    for (std::size_t s = 0; s < sets.size(); ++s) in[s] = ordered[s].contains_sorted(first);
    if (known.size() >= 250 && !known.count(in))
      fail(ErrorCategory::internal, "pre-tokenizer expression: over 250 classes");
    const auto [entry, fresh] = known.emplace(in, static_cast<std::uint8_t>(known.size() + 1));
    if (fresh) belongs_.push_back(in);
    class_from.push_back(entry->second);
  }
  n_classes_ = belongs_.size();
  make_blocks(borders, class_from);
  std::copy_n(blocks_.begin() + block_of_[0] * 256, ascii_.size(), ascii_.begin());
}

/// Most blocks of 256 lie between two borders and have one class throughout: they are made once for each class.
void Dfa::make_blocks(const std::vector<std::uint32_t>& borders, const std::vector<std::uint8_t>& class_from) {
  std::map<std::vector<std::uint8_t>, std::uint16_t> known;
  std::vector<int> uniform(256, -1);
  std::vector<std::uint8_t> block(256);
  for (std::uint32_t at = 0, b = 0; at <= unicode::kMax; at += 256) {
    const auto end_of = [&](std::uint32_t i) { return i + 1 < borders.size() ? borders[i + 1] : unicode::kMax + 1; };
    while (end_of(b) <= at) ++b;
    const bool whole = end_of(b) >= at + 256;
    if (!whole || uniform[class_from[b]] < 0) {
      for (std::uint32_t c = at, i = b; c < at + 256; ++c) {
        if (c >= end_of(i)) ++i;
        block[c - at] = class_from[i];
      }
      const auto [entry, fresh] = known.emplace(block, static_cast<std::uint16_t>(known.size()));
      if (fresh) blocks_.insert(blocks_.end(), block.begin(), block.end());
      if (whole) uniform[class_from[b]] = entry->second;
      block_of_.push_back(entry->second);
    } else {
      block_of_.push_back(static_cast<std::uint16_t>(uniform[class_from[b]]));
    }
  }
}

void Dfa::make_states(const Program& program) {
  std::map<Threads, std::uint16_t> known;
  std::vector<const Threads*> lists;
  const auto number = [&](Threads threads) {
    const auto [entry, fresh] = known.emplace(std::move(threads), static_cast<std::uint16_t>(known.size()));
    if (fresh) lists.push_back(&entry->first);
    if (lists.size() >= kNone) fail(ErrorCategory::internal, "pre-tokenizer expression: too many states");
    return entry->second;
  };
  Threads first;
  std::vector<bool> seen(program.code.size());
  enter(program, program.start, seen, first);
  number({});  // kDead
  number(std::move(first));
  for (std::size_t s = 0; s < lists.size(); ++s) {
    for (std::uint32_t cls = 0; cls < n_classes_; ++cls) {
      Step step(program, belongs_[cls], cls == kEnd);
      step.run(*lists[s]);
      table_.push_back(static_cast<std::uint16_t>(number(std::move(step.next)) | (step.matched ? kMatched : 0)));
    }
  }
}

std::size_t Dfa::Matcher::match(std::size_t begin) {
  std::size_t at = begin, matched = begin, resume = begin;
  std::uint16_t state = kStart, resume_state = kStart;
  for (;;) {
    if (at < end_ && at >= first_ && dead_ends_[at - first_] == state) break;
    std::uint32_t length = 0;
    const std::uint32_t cls = at < text_.size() ? dfa_.classify(text_, at, length) : kEnd;
    const std::uint16_t step = dfa_.step(state, cls);
    state = step & kNone;
    if (step & kMatched) {
      matched = at;
      resume = at + length;
      resume_state = state;
    }
    at += length;
    if (state == kDead || length == 0) break;
  }
  if (at - matched > kFar) remember(resume, resume_state, at);
  return matched - begin;
}

void Dfa::Matcher::remember(std::size_t from, std::uint16_t state, std::size_t until) {
  first_ = from;
  end_ = std::min(until, text_.size());
  dead_ends_.assign(end_ - first_, kNone);
  for (std::size_t at = from; at < end_ && state != kDead;) {
    dead_ends_[at - first_] = state;
    std::uint32_t length = 0;
    const std::uint32_t cls = dfa_.classify(text_, at, length);
    state = dfa_.step(state, cls) & kNone;
    at += length;
  }
}

}  // namespace mtmd
