// Cuts a text into the pieces that are merged on their own, as `tokenizer.ggml.pre` asks.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/dfa.h"

namespace mtmd {

/// Expressions are applied one after the other: each splits every piece left by the one before into its matches and the
/// text between them; lookahead sees no further than the piece.
class PreTokenizer {
 public:
  /// Throws Error(model) for an unknown name; the message lists those that are known.
  static PreTokenizer by_name(std::string_view name);
  static std::vector<std::string_view> names();
  /// The name whose expressions are these, in the spelling of a tokenizer.json; empty when there is none. Of several the
  /// one that also agrees in `takes_whole_entries`.
  static std::string_view name_of(std::span<const std::string> expressions, bool takes_whole_entries);

  static constexpr std::size_t kNoStage = static_cast<std::size_t>(-1);

  bool takes_whole_entries = false;  ///< a piece that is a vocabulary entry is that entry, whatever the merges say
  bool adds_bos = false;             ///< unless tokenizer.ggml.add_bos_token says otherwise
  bool cleans_up = false;            ///< decoding drops the spaces that "clean_up_tokenization_spaces" drops
  bool byte_alphabet = true;         ///< pieces are written in GPT-2's alphabet of bytes, else as they are

  /// Calls `piece(std::string_view)` for each piece of `text` (valid UTF-8) in order.
  template <class F>
  void split(std::string_view text, F&& piece) const {
    split(0, text, piece);
  }
  std::size_t n_stages() const noexcept { return stages_.size(); }

 private:
  template <class F>
  void split(std::size_t stage, std::string_view text, F& piece) const {
    if (stage == stages_.size()) return piece(text);
    Dfa::Matcher matcher(stages_[stage], text);
    std::size_t rest = 0;  // start of the text since the last match
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = matcher.match(at);
      if (length == 0) {
        at += unicode::decode(text.data() + at, text.data() + text.size()).length;
        continue;
      }
      if (rest < at) split(stage + 1, text.substr(rest, at - rest), piece);
      if (stage == thousands_)
        split_thousands(text.substr(at, length), piece);
      else
        split(stage + 1, text.substr(at, length), piece);
      rest = at += length;
    }
    if (rest < text.size()) split(stage + 1, text.substr(rest), piece);
  }

  /// 1234567 -> 1, 234, 567
  template <class F>
  void split_thousands(std::string_view digits, F& piece) const {
    std::size_t n = 0;
    for (const char c : digits) n += unicode::begins_character(c);
    for (std::size_t at = 0, begin = 0; at < digits.size();) {
      at += unicode::announced_length(digits[at]);
      if (--n % 3 != 0) continue;
      split(thousands_ + 1, digits.substr(begin, at - begin), piece);
      begin = at;
    }
  }

  std::vector<Dfa> stages_;
  std::size_t thousands_ = kNoStage;  ///< matches of this stage are cut into threes from the right
};

}  // namespace mtmd
