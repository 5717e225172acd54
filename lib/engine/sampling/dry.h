// DRY ("don't repeat yourself", P. E. Weidmann, text-generation-webui #5677): penalises the tokens that would continue
// a sequence which has already been written.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace mtmd::sampling {

/// Strings over which a repetition does not count. A string may begin inside a token and go on in the next ones.
class SequenceBreakers {
 public:
  SequenceBreakers() = default;
  SequenceBreakers(const Tokenizer& tokenizer, std::span<const std::string> strings);
  /// How many of the last tokens of `history` follow the last breaker (all of them if there is none).
  std::size_t since_last(std::span<const Token> history) const;

 private:
  /// First token of a breaker -> the tokens that must follow it.
  std::unordered_map<Token, std::vector<std::vector<Token>>> tails_;
};

/// What continuing a repetition costs.
struct DryPenalty {
  Token token;
  std::size_t length;  ///< of the longest sequence that ends the history and was followed by `token` before
};

/// Buffers kept between tokens.
class DryFinder {
 public:
  /// Each token that would continue a repetition of at least `allowed` tokens, once, with the longest length; a
  /// repetition is at most `limit` tokens long. Linear in the history, but for sorting what is found.
  std::span<const DryPenalty> find(std::span<const Token> history, std::size_t limit, std::size_t allowed);

 private:
  std::vector<std::uint32_t> repeats_;
  std::vector<DryPenalty> penalties_;
};

}  // namespace mtmd::sampling
