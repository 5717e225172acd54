#include "engine/sampling/grammar_vocabulary.h"

#include <algorithm>
#include <string_view>

#include "engine/sampling/grammar_automaton.h"
#include "engine/tokenizer/tokenizer.h"

namespace mtmd::grammar {
namespace {

std::vector<std::string> pieces_of(const Tokenizer& tokenizer) {
  std::vector<std::string> pieces(static_cast<std::size_t>(tokenizer.size()));
  for (Token t = 0; t < tokenizer.size(); ++t)
    if (!tokenizer.is_end_of_generation(t)) pieces[static_cast<std::size_t>(t)] = tokenizer.piece(t);
  return pieces;
}

}  // namespace

Vocabulary::Vocabulary(const Tokenizer& tokenizer) : Vocabulary(pieces_of(tokenizer)) {}

Vocabulary::Vocabulary(const std::vector<std::string>& pieces) : n_tokens_(pieces.size()) {
  std::vector<std::int32_t> order;
  for (std::size_t t = 0; t < pieces.size(); ++t)
    if (!pieces[t].empty()) order.push_back(static_cast<std::int32_t>(t));
  const auto piece = [&](std::int32_t t) -> const std::string& { return pieces[static_cast<std::size_t>(t)]; };
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return piece(a) < piece(b); });
  entries_.reserve(order.size());
  std::string_view before;
  for (const std::int32_t t : order) {
    const std::string_view now = piece(t);
    const auto differ = std::mismatch(now.begin(), now.end(), before.begin(), before.end()).first;
    entries_.push_back({t, static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(now.size()),
                        static_cast<std::uint32_t>(differ - now.begin())});
    bytes_ += now;
    longest_ = std::max(longest_, now.size());
    before = now;
  }
}

std::size_t Vocabulary::allowed(const GrammarState& state, std::vector<std::uint8_t>& mask) const {
  mask.assign(n_tokens_, 0);
  Automaton& automaton = state.automaton();
  std::vector<std::int32_t> at(longest_ + 1);  // the state after so many bytes of the entry
  at[0] = state.number();
  std::size_t alive = 0, count = 0;  // at[0 .. alive] are known and not dead
  for (const Entry& e : entries_) {
    if (e.shared > alive) continue;  // its beginning has already failed
    std::size_t depth = e.shared;
    for (; depth < e.size; ++depth) {
      const std::int32_t to = automaton.step(at[depth], static_cast<std::uint8_t>(bytes_[e.begin + depth]));
      if (to == Automaton::kDead) break;
      at[depth + 1] = to;
    }
    alive = depth;
    if (depth < e.size) continue;
    mask[static_cast<std::size_t>(e.token)] = 1;
    ++count;
  }
  return count;
}

}  // namespace mtmd::grammar
