// How well a model predicts a text, and how far it is from another one: llama-perplexity's definitions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/thread_pool.h"
#include "engine/tensor/tensor.h"
#include "engine/tokenizer/tokenizer.h"

namespace mtmd::quality {

struct Estimate {
  double value = 0, error = 0;  ///< error: one standard error
};

/// Negative log likelihoods of tokens, in nats.
class Likelihood {
 public:
  void add(double nll) noexcept { sum_ += nll, sum2_ += nll * nll, ++n_; }
  std::int64_t count() const noexcept { return n_; }
  Estimate perplexity() const noexcept;  ///< exp of the mean; the error by propagation

 private:
  double sum_ = 0, sum2_ = 0;
  std::int64_t n_ = 0;
};

/// What two models say about one token; "base" is the one that is right by definition.
struct TokenDivergence {
  double kld = 0;                ///< sum of p_base (ln p_base - ln p) over the vocabulary
  double nll = 0, nll_base = 0;  ///< -ln of the probability of the token that follows
  bool same_top = false;         ///< both favour the same token
};

/// One row of base log probabilities, rounded to 16 bits: ln p = scale * code + lowest (logits_file.h).
struct RoundedRow {
  float scale = 0, lowest = 0;
  std::span<const std::uint16_t> codes;
};

double nll_of(std::span<const float> logits, Token next) noexcept;
TokenDivergence divergence(std::span<const float> logits, std::span<const float> base, Token next) noexcept;
/// Tokens below exp(-16) in the base count nothing, as in the reference.
TokenDivergence divergence(std::span<const float> logits, const RoundedRow& base, Token next) noexcept;

/// Everything llama-perplexity reports. Probabilities are fractions, not percent.
struct DivergenceReport {
  std::int64_t count = 0;
  Estimate ppl, ppl_base, log_ppl_ratio, ppl_ratio, ppl_difference;
  double ppl_correlation = 0;  ///< of ln p of both
  Estimate kld;
  double kld_max = 0, kld_min = 0, kld_median = 0;
  double kld_999 = 0, kld_99 = 0, kld_95 = 0, kld_90 = 0, kld_10 = 0, kld_5 = 0, kld_1 = 0, kld_01 = 0;
  Estimate p_change, p_rms, same_top;  ///< change of the following token's probability: mean, root mean square
  double p_max = 0, p_min = 0, p_median = 0, p_999 = 0, p_99 = 0, p_95 = 0, p_75 = 0, p_25 = 0, p_5 = 0, p_1 = 0,
         p_01 = 0;
};

class Divergence {
 public:
  void add(const TokenDivergence& t) { tokens_.push_back(t); }
  std::int64_t count() const noexcept { return std::ssize(tokens_); }
  DivergenceReport report() const;

 private:
  std::vector<TokenDivergence> tokens_;
};

}  // namespace mtmd::quality
