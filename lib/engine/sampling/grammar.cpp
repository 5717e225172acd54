#include "engine/sampling/grammar.h"

#include "engine/sampling/grammar_automaton.h"
#include "engine/sampling/grammar_compiler.h"

namespace mtmd {
namespace {

std::int32_t walk(grammar::Automaton& automaton, std::int32_t state, std::string_view bytes) {
  for (const char c : bytes) {
    state = automaton.step(state, static_cast<std::uint8_t>(c));
    if (state == grammar::Automaton::kDead) break;
  }
  return state;
}

}  // namespace

Grammar Grammar::parse(std::string_view gbnf) {
  return Grammar(std::make_shared<const grammar::Program>(grammar::compile(grammar::parse(gbnf))));
}

GrammarState::GrammarState(const Grammar& grammar)
    : program_(grammar.program_),
      automaton_(std::make_shared<grammar::Automaton>(program_)),
      number_(automaton_->start()) {}

bool GrammarState::accept(std::string_view bytes) {
  if (automaton_->spent()) renew();
  const std::int32_t to = walk(*automaton_, number_, bytes);
  if (to == grammar::Automaton::kDead) return false;
  number_ = to;
  return true;
}

bool GrammarState::allowed(std::string_view bytes) const {
  return walk(*automaton_, number_, bytes) != grammar::Automaton::kDead;
}

bool GrammarState::complete() const { return automaton_->complete(number_); }

bool GrammarState::can_continue() const { return automaton_->can_continue(number_); }

void GrammarState::renew() {
  auto fresh = std::make_shared<grammar::Automaton>(program_);
  number_ = fresh->import(*automaton_, number_);
  automaton_ = std::move(fresh);
}

}  // namespace mtmd
