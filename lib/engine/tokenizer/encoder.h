// What the kinds of tokenizers do differently: turn text without special tokens into tokens.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/tokenizer/merge.h"
#include "engine/tokenizer/text_index.h"
#include "engine/tokenizer/vocabulary.h"

namespace mtmd {

/// Buffers of one call of Tokenizer::encode.
struct EncodeScratch {
  MergeScratch merge;
  WordCache cache;
  std::vector<Token> word;  ///< tokens of the word at hand
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  /// Appends the tokens of `text`; `after_special`: it begins the input or follows a special token.
  virtual void encode(std::string_view text, bool after_special, EncodeScratch& scratch,
                      std::vector<Token>& out) const = 0;
  /// The bytes of an ordinary token.
  virtual std::string piece(Token token) const = 0;
};

/// Byte-pair encoding from a merge list (models gpt2 and gemma4). Throws Error(model).
std::unique_ptr<Encoder> make_bpe(Vocabulary& vocabulary, const gguf::Metadata& metadata);
/// SentencePiece's byte-pair encoding by scores (model llama). Throws Error(model).
std::unique_ptr<Encoder> make_sentencepiece(Vocabulary& vocabulary, const gguf::Metadata& metadata);
/// BERT's WordPiece (model bert).
std::unique_ptr<Encoder> make_wordpiece(Vocabulary& vocabulary, const gguf::Metadata& metadata);
/// SentencePiece's unigram model (model t5). Throws Error(model).
std::unique_ptr<Encoder> make_unigram(Vocabulary& vocabulary, const gguf::Metadata& metadata);

/// Throws Error(model) unless every entry has a score that is a number.
void require_scores(const Vocabulary& vocabulary);

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581, SentencePiece's space
std::string mark_spaces(std::string_view text);                 ///< ' ' -> U+2581
std::string unmark_spaces(std::string_view text);               ///< U+2581 -> ' '

/// Appends the tokens of single bytes: <0x..> entries, else entries that are that byte, else the unknown token if there
/// is one.
void append_bytes(const Vocabulary& vocabulary, std::string_view bytes, std::vector<Token>& out);

/// Where a text can be cut without changing its tokens: between two characters that stand side by side in no vocabulary
/// entry. Looks at pairs of ASCII characters and at what precedes a U+2581, which is enough to turn long lines into
/// words.
class Breaks {
 public:
  /// Every entry that merging can produce.
  void add(std::string_view entry);
  bool between(std::string_view character, std::string_view next) const {
    if (next.size() == 1 && character.size() == 1)
      return is_ascii(character) && is_ascii(next) && !side_by_side_[pair(character, next)];
    return next == kSpaceMark && before_space_.count(packed(character)) == 0;
  }

 private:
  static bool is_ascii(std::string_view c) noexcept { return static_cast<signed char>(c[0]) >= 0; }
  static std::size_t pair(std::string_view a, std::string_view b) noexcept {
    return static_cast<std::size_t>(a[0]) * 128 + static_cast<std::size_t>(b[0]);
  }
  static std::uint64_t packed(std::string_view character) noexcept;  ///< at most 4 bytes
  std::bitset<std::size_t{128} * 128> side_by_side_;
  std::unordered_set<std::uint64_t> before_space_;
};

}  // namespace mtmd
