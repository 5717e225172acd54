// From logits to the next token.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/sampling/grammar.h"

namespace mtmd {

class Tokenizer;

struct SamplingOptions {
  float temperature = 0.0f;          ///< <= 0: greedy (the lowest id among equal logits)
  std::int32_t top_k = 40;           ///< 0: off
  float top_p = 0.95f;               ///< 1: off
  float min_p = 0.05f;               ///< 0: off
  float typical_p = 1.0f;            ///< locally typical sampling (arXiv:2202.00666); 1: off
  std::int32_t penalty_last_n = 64;  ///< tokens looked back on; 0: off, -1: all
  float repeat_penalty = 1.0f, frequency_penalty = 0.0f, presence_penalty = 0.0f;
  float dry_multiplier = 0.0f, dry_base = 1.75f;  ///< DRY: penalises continuing a repeated sequence; 0: off
  std::int32_t dry_allowed_length = 2, dry_penalty_last_n = -1;
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};
  std::vector<std::pair<std::int32_t, float>> logit_bias;
  std::string grammar;      ///< GBNF (grammar.h) that the answer must match; empty: any text
  std::string json_schema;  ///< JSON Schema (json_schema.h) for the answer; not together with `grammar`
  std::uint64_t seed = 0;   ///< the same seed gives the same tokens on every machine
};

/// The grammar that the options ask for, if any. Throws Error(usage) for a mistake in it.
std::optional<Grammar> grammar_of(const SamplingOptions& options);

/// One per sequence. With a grammar, a token is first chosen as without; only if the grammar refuses it, all tokens
/// that the grammar refuses are taken away and another is chosen, filters included. Greedily that is the best allowed
/// token; otherwise a token that is allowed keeps the chance it has without the grammar, and gains from the second
/// choice.
class Sampler {
 public:
  /// `tokenizer` (for DRY's breakers and grammars) must outlive the sampler; may be null without these. Throws
  /// Error(usage) for a value out of range, naming the option.
  Sampler(const SamplingOptions& options, const Tokenizer* tokenizer);
  ~Sampler();
  Sampler(Sampler&&) noexcept;

  /// Chooses from logits [n_vocab] (left unchanged) and remembers the choice. With a grammar, tokens that end the
  /// generation are chosen only where the text may end; throws Error(usage) when no token of the vocabulary can go on,
  /// Error(resource) when the grammar is too ambiguous to follow.
  std::int32_t sample(std::span<const float> logits);
  /// A token that is part of the history without having been sampled (the prompt).
  void accept(std::int32_t token);
  void reset();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mtmd
