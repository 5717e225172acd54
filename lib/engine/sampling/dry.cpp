#include "engine/sampling/dry.h"

#include <algorithm>

namespace mtmd::sampling {
namespace {

constexpr std::size_t kMaxBreakerBytes = 256, kMaxTail = 16;

}  // namespace

SequenceBreakers::SequenceBreakers(const Tokenizer& tokenizer, std::span<const std::string> strings) {
  const auto add = [this](Token token, std::vector<Token> tail) {
    tail.resize(std::min(tail.size(), kMaxTail));
    auto& tails = tails_[token];
    if (std::find(tails.begin(), tails.end(), tail) == tails.end()) tails.push_back(std::move(tail));
  };
  for (Token token = 0; token < tokenizer.size(); ++token) {
    const std::string piece = tokenizer.piece(token, true);
    if (piece.empty()) continue;
    for (std::string_view breaker : strings) {
      breaker = breaker.substr(0, kMaxBreakerBytes);
      if (breaker.empty()) continue;
      if (piece.find(breaker) != std::string::npos) {
        add(token, {});
        continue;
      }
      // the end of the token begins the breaker
      for (std::size_t n = std::min(piece.size(), breaker.size() - 1); n > 0; --n)
        if (std::string_view(piece).substr(piece.size() - n) == breaker.substr(0, n))
          add(token, tokenizer.encode(breaker.substr(n)));
    }
  }
}

std::size_t SequenceBreakers::since_last(std::span<const Token> history) const {
  for (std::size_t at = history.size(); at-- > 0;) {
    const auto found = tails_.find(history[at]);
    if (found == tails_.end()) continue;
    std::size_t longest = 0;
    bool here = false;
    for (const auto& tail : found->second) {
      const auto next = history.subspan(at + 1);
      if (tail.size() > next.size() || !std::equal(tail.begin(), tail.end(), next.begin())) continue;
      here = true;
      longest = std::max(longest, tail.size());
    }
    if (here) return history.size() - at - 1 - longest;
  }
  return history.size();
}

std::span<const DryPenalty> DryFinder::find(std::span<const Token> history, std::size_t limit, std::size_t allowed) {
  penalties_.clear();
  const std::size_t n = history.size();
  if (n < 2 || limit < allowed) return {};
  // Z function of the reversed history: repeats_[i] tokens before (and with) the one i places from the end equal the
  // end.
  const auto back = [&](std::size_t i) { return history[n - 1 - i]; };
  repeats_.assign(n, 0);
  for (std::size_t i = 1, left = 0, right = 0; i < n; ++i) {
    std::size_t z = i < right ? std::min<std::size_t>(right - i, repeats_[i - left]) : 0;
    while (i + z < n && back(z) == back(i + z)) ++z;
    repeats_[i] = static_cast<std::uint32_t>(z);
    if (i + z > right) {
      left = i;
      right = i + z;
    }
  }
  for (std::size_t i = 1; i < n; ++i) {
    const std::size_t length = std::min<std::size_t>(repeats_[i], limit);
    if (length >= allowed) penalties_.push_back({back(i - 1), length});
  }
  std::sort(penalties_.begin(), penalties_.end(), [](const DryPenalty& x, const DryPenalty& y) {
    return x.token != y.token ? x.token < y.token : x.length > y.length;
  });
  const auto same = [](const DryPenalty& x, const DryPenalty& y) { return x.token == y.token; };
  penalties_.erase(std::unique(penalties_.begin(), penalties_.end(), same), penalties_.end());
  return penalties_;
}

}  // namespace mtmd::sampling
