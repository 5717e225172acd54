// A splitting expression as a deterministic automaton: one table look-up a character, no backtracking.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/tokenizer/pattern.h"
#include "engine/tokenizer/unicode.h"

namespace mtmd {

/// Built once, then immutable. A state is the ordered list of threads of the program that are alive (Cox, "Regular
/// Expression Matching: the Virtual Machine Approach"), so the match is the one that a backtracking engine prefers. A
/// match is noticed one character late: that is where lookahead is decided.
class Dfa {
 public:
  explicit Dfa(const Program& program);
  std::size_t n_states() const noexcept { return table_.size() / n_classes_; }

  /// Matches at increasing places of one text (valid UTF-8). Remembers, where a search ran far past its match, which
  /// states lead nowhere, so that repeated searches over the same stretch cost nothing.
  class Matcher {
   public:
    Matcher(const Dfa& dfa, std::string_view text) : dfa_(dfa), text_(text) {}
    /// Length of the preferred match at byte `begin`; 0 when there is none or it is empty.
    std::size_t match(std::size_t begin);

   private:
    void remember(std::size_t from, std::uint16_t state, std::size_t until);
    const Dfa& dfa_;
    std::string_view text_;
    std::vector<std::uint16_t> dead_ends_;  ///< state at each byte of [first_, end_) from which no match follows
    std::size_t first_ = 0, end_ = 0;
  };

 private:
  static constexpr std::uint16_t kMatched = 0x8000, kNone = 0x7FFF;
  static constexpr std::uint16_t kDead = 0, kStart = 1;

  void make_classes(const std::vector<unicode::Set>& sets);
  void make_blocks(const std::vector<std::uint32_t>& borders, const std::vector<std::uint8_t>& class_from);
  void make_states(const Program& program);
  std::uint16_t step(std::uint16_t state, std::uint32_t cls) const noexcept { return table_[state * n_classes_ + cls]; }
  /// Class of the character at `at`, whose length goes to `length`; class 0 is the end of the text.
  std::uint32_t classify(std::string_view text, std::size_t at, std::uint32_t& length) const noexcept {
    const auto lead = static_cast<unsigned char>(text[at]);
    length = 1;
    if (lead < 0x80) return ascii_[lead];
    const auto d = unicode::decode(text.data() + at, text.data() + text.size());
    length = d.length;
    return blocks_[block_of_[d.code_point >> 8] * 256u + (d.code_point & 255)];
  }

  std::size_t n_classes_ = 1;
  std::array<std::uint8_t, 128> ascii_{};
  std::vector<std::uint16_t> block_of_;     ///< by code point / 256
  std::vector<std::uint8_t> blocks_;        ///< class of each code point of a block
  std::vector<std::vector<bool>> belongs_;  ///< [class][set]
  std::vector<std::uint16_t> table_;  ///< [state][class]: next state, and kMatched if a match ends before the character
};

}  // namespace mtmd
