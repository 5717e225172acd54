#include "engine/sampling/grammar_automaton.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/sampling/grammar.h"

namespace mtmd::grammar {
namespace {

std::uint64_t key(std::uint32_t a, std::uint32_t b) { return std::uint64_t{a} << 32 | b; }

}  // namespace

Automaton::Automaton(std::shared_ptr<const Program> program) : program_(std::move(program)) {
  frames_.push_back({0, 0, 0});
  State first;
  work_list_.push_back({program_->rules[program_->root], 0});
  close(first);
  start_ = intern(std::move(first));
}

std::int32_t Automaton::explore(std::int32_t state, std::uint8_t byte, std::size_t at) {
  work_list_.clear();
  const State& from = states_[static_cast<std::size_t>(state)];
  for (const Stack& stack : from.stacks) {
    const Instruction& i = program_->code[stack.pc];
    if (program_->sets[i.operand][byte]) work_list_.push_back({i.next, stack.frame});
  }
  work_ += from.stacks.size() + 1;
  State to;
  close(to);
  const std::int32_t number = to.stacks.empty() && !to.complete ? kDead : intern(std::move(to));
  steps_[at] = number;
  return number;
}

void Automaton::close(State& into) {
  seen_.clear();
  while (!work_list_.empty()) {
    const Stack at = work_list_.back();
    work_list_.pop_back();
    if (!seen_.insert(key(at.pc, at.frame)).second) continue;
    if (++work_ > kMaxWork || seen_.size() > 4 * kMaxStacks || into.stacks.size() > kMaxStacks)
      fail(ErrorCategory::resource,
           "grammar: too ambiguous, more than {} ways to read the text so far or {} steps to follow them; repeat less "
           "inside of what is repeated or optional",
           kMaxStacks, kMaxWork);
    const Instruction& i = program_->code[at.pc];
    switch (i.op) {
      case Instruction::Op::bytes:
        into.stacks.push_back(at);
        break;
      case Instruction::Op::split:
        work_list_.push_back({i.operand, at.frame});
        work_list_.push_back({i.next, at.frame});
        break;
      case Instruction::Op::call:
        // a call at the end of a rule needs no frame: recursion to the right stays flat
        if (program_->code[i.next].op == Instruction::Op::end_of_rule)
          work_list_.push_back({program_->rules[i.operand], at.frame});
        else if (frames_[at.frame].depth < Grammar::kMaxDepth)
          work_list_.push_back({program_->rules[i.operand], push(i.next, at.frame)});
        break;
      case Instruction::Op::end_of_rule:
        if (at.frame == 0)
          into.complete = true;
        else
          work_list_.push_back({frames_[at.frame].back, frames_[at.frame].parent});
        break;
    }
  }
  std::sort(into.stacks.begin(), into.stacks.end());
}

std::uint32_t Automaton::push(Pc back, std::uint32_t parent) {
  const auto [found, added] = frame_ids_.try_emplace(key(back, parent), static_cast<std::uint32_t>(frames_.size()));
  if (added) frames_.push_back({back, parent, frames_[parent].depth + 1});
  return found->second;
}

std::int32_t Automaton::intern(State&& state) {
  std::uint64_t hash = state.complete ? 1 : 0;
  for (const Stack& s : state.stacks) hash = (hash ^ key(s.pc, s.frame)) * 0x9E3779B97F4A7C15u, hash ^= hash >> 29;
  const auto [begin, end] = state_ids_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const State& known = states_[static_cast<std::size_t>(it->second)];
    if (known.complete == state.complete && known.stacks == state.stacks) return it->second;
  }
  stored_ += state.stacks.size() + program_->n_classes;
  if (stored_ > 8 * kMaxStored)
    fail(ErrorCategory::resource, "grammar: too ambiguous, its states need more room than {} entries", 8 * kMaxStored);
  const auto number = static_cast<std::int32_t>(states_.size());
  state_ids_.emplace(hash, number);
  states_.push_back(std::move(state));
  steps_.resize(steps_.size() + program_->n_classes, kUnknown);
  return number;
}

std::int32_t Automaton::import(const Automaton& other, std::int32_t state) {
  std::unordered_map<std::uint32_t, std::uint32_t> known = {{0, 0}};
  const auto copy = [&](std::uint32_t frame) {
    std::vector<std::uint32_t> above;
    for (; !known.contains(frame); frame = other.frames_[frame].parent) above.push_back(frame);
    std::uint32_t copied = known[frame];
    for (auto it = above.rbegin(); it != above.rend(); ++it)
      known[*it] = copied = push(other.frames_[*it].back, copied);
    return copied;
  };
  State mine;
  const State& theirs = other.states_[static_cast<std::size_t>(state)];
  mine.complete = theirs.complete;
  for (const Stack& s : theirs.stacks) mine.stacks.push_back({s.pc, copy(s.frame)});
  std::sort(mine.stacks.begin(), mine.stacks.end());
  return intern(std::move(mine));
}

}  // namespace mtmd::grammar
