#include "mtmd/loop_guard.h"

#include <algorithm>

namespace mtmd {

std::optional<std::size_t> LoopGuard::push(std::int32_t token) {
  run_.resize(static_cast<std::size_t>(options_.max_period) + 1);
  tokens_.push_back(token);
  const std::size_t n = tokens_.size();
  const auto longest = std::min<std::size_t>(static_cast<std::size_t>(options_.max_period), n - 1);
  for (std::size_t p = 1; p <= longest; ++p) {
    int& run = run_[p];
    run = tokens_[n - 1 - p] == token ? run + 1 : 0;
    // `run` matches at distance p make run + p tokens of period p.
    const int periodic = run + static_cast<int>(p);
    if (run > 0 && periodic >= options_.min_tokens && periodic >= options_.min_repeats * static_cast<int>(p))
      return n - static_cast<std::size_t>(periodic) + p;
  }
  return std::nullopt;
}

}  // namespace mtmd
