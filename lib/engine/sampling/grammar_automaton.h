// The states that a text can bring a grammar to, found when first needed and then kept: after a warm-up each byte of
// each token of the vocabulary costs one look into a table.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/sampling/grammar_program.h"

namespace mtmd::grammar {

/// A state is a set of stacks: (instruction, stack of return addresses). Stacks share their lower parts as in GLL
/// parsing (Scott and Johnstone 2010). For one thread.
class Automaton {
 public:
  static constexpr std::int32_t kDead = -1;
  static constexpr std::size_t kMaxStacks = 16384;     ///< in one state
  static constexpr std::size_t kMaxWork = 16'000'000;  ///< instructions looked at in the life of an automaton

  explicit Automaton(std::shared_ptr<const Program> program);

  std::int32_t start() const { return start_; }
  /// kDead if the byte does not fit. Throws Error(resource) at the limits.
  std::int32_t step(std::int32_t state, std::uint8_t byte) {
    const std::size_t at = static_cast<std::size_t>(state) * program_->n_classes + program_->byte_class[byte];
    const std::int32_t to = steps_[at];
    return to != kUnknown ? to : explore(state, byte, at);
  }
  bool complete(std::int32_t state) const { return states_[static_cast<std::size_t>(state)].complete; }
  bool can_continue(std::int32_t state) const { return !states_[static_cast<std::size_t>(state)].stacks.empty(); }

  /// Time for a new automaton: this one has grown, or used half of its work.
  bool spent() const { return work_ > kMaxWork / 2 || stored_ > kMaxStored; }
  /// The same state of another automaton for the same program.
  std::int32_t import(const Automaton& other, std::int32_t state);

 private:
  static constexpr std::int32_t kUnknown = -2;
  static constexpr std::size_t kMaxStored = 1'000'000;

  struct Frame {
    Pc back;               ///< where to go on
    std::uint32_t parent;  ///< frames_[0]: the bottom
    std::int32_t depth;
  };
  struct Stack {
    Pc pc;  ///< an Op::bytes
    std::uint32_t frame;
    auto operator<=>(const Stack&) const = default;
  };
  struct State {
    std::vector<Stack> stacks;  ///< sorted
    bool complete = false;
  };

  std::int32_t explore(std::int32_t state, std::uint8_t byte, std::size_t at);
  void close(State& into);  ///< follows work_list_ to the next bytes
  std::uint32_t push(Pc back, std::uint32_t parent);
  std::int32_t intern(State&& state);

  std::shared_ptr<const Program> program_;
  std::vector<Frame> frames_;
  std::unordered_map<std::uint64_t, std::uint32_t> frame_ids_;
  std::vector<State> states_;
  std::unordered_multimap<std::uint64_t, std::int32_t> state_ids_;
  std::vector<std::int32_t> steps_;  ///< [state][byte class]
  std::vector<Stack> work_list_;
  std::unordered_set<std::uint64_t> seen_;
  std::size_t work_ = 0, stored_ = 0;
  std::int32_t start_ = kDead;
};

}  // namespace mtmd::grammar
