// Finds the special tokens that are written out in a text.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/tokenizer/vocabulary.h"

namespace mtmd {

/// Aho-Corasick automaton over a set of phrases: one pass over the text, whatever the phrases are.
class PhraseFinder {
 public:
  using Phrase = std::pair<std::string_view, Token>;
  explicit PhraseFinder(std::span<const Phrase> phrases);  ///< none of them empty; the last of equal ones counts

  /// The tokens whose phrases occur anywhere in `text`, each once.
  std::vector<Token> occurring(std::string_view text) const;

  /// For phrases of one length: `found(end, token)` for every occurrence from left to right that does not overlap the
  /// one before.
  template <class F>
  void scan(std::string_view text, F&& found) const {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if (node == 0 && !begins_[byte]) continue;
      node = step(node, byte);
      if (nodes_[node].token < 0) continue;
      found(i + 1, nodes_[node].token);
      node = 0;
    }
  }

 private:
  struct Node {
    Token token = -1;
    std::uint32_t fallback = 0;  ///< the longest proper suffix that begins a phrase
    std::uint32_t shorter = 0;   ///< the longest proper suffix that is a phrase; 0: none
  };
  std::uint32_t child(std::uint32_t node, unsigned char byte) const noexcept;  ///< 0: none
  std::uint32_t step(std::uint32_t node, unsigned char byte) const noexcept;

  std::vector<Node> nodes_ = {Node{}};
  PairTable children_;
  bool begins_[256] = {};
};

/// A stretch of text, or a token that stands there.
struct Fragment {
  std::string_view text{};
  Token token = -1;
};

/// Longer tokens go first over the whole text, equal lengths from left to right: what the reference does, in one pass
/// to see which lengths occur and one for each of those.
class SpecialTokens {
 public:
  explicit SpecialTokens(const Vocabulary& vocabulary);
  std::vector<Fragment> partition(std::string_view text, bool parse_special) const;

 private:
  struct Group {
    PhraseFinder any;                     ///< all phrases
    std::vector<std::size_t> lengths;     ///< longest first
    std::vector<PhraseFinder> by_length;  ///< parallel to lengths
  };
  static Group make(const std::vector<PhraseFinder::Phrase>& phrases);
  std::vector<Fragment> cut(const PhraseFinder& finder, const std::vector<Fragment>& fragments) const;

  const Vocabulary& vocabulary_;
  Group always_, with_special_;
};

}  // namespace mtmd
