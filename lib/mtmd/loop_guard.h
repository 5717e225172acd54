// Notices when a generation repeats itself for ever, also at temperature 0.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace mtmd {

struct LoopGuardOptions {
  int max_period = 256;  ///< longest cycle looked for, in tokens
  int min_repeats = 6;   ///< a cycle counts after this many rounds …
  int min_tokens = 48;   ///< … and this many tokens in all (so that "----------" in a table is no loop)
};

/// Feed it every generated token; costs max_period comparisons.
class LoopGuard {
 public:
  explicit LoopGuard(const LoopGuardOptions& options = {}) : options_(options) {}

  /// When the tokens so far end in a loop: how many of them to keep (everything before the cycle's second round).
  std::optional<std::size_t> push(std::int32_t token);

 private:
  LoopGuardOptions options_;
  std::vector<std::int32_t> tokens_;
  std::vector<int> run_;  ///< run_[p]: how many latest tokens equal the one p before them
};

}  // namespace mtmd
