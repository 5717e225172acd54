// The vocabulary of a GGUF file and what its metadata says about it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/text_index.h"
#include "engine/tokenizer/tokenizer.h"

namespace mtmd {

struct Vocabulary {
  /// Throws Error(model) for missing or inconsistent arrays and ids out of range.
  explicit Vocabulary(const gguf::Metadata& metadata);

  std::int32_t size() const noexcept { return static_cast<std::int32_t>(texts.size()); }
  bool contains(Token token) const noexcept { return token >= 0 && token < size(); }
  bool is_special(Token token) const noexcept {  ///< matched only with parse_special, shown only with `special`
    return types[token] == TokenType::control || types[token] == TokenType::unknown;
  }

  /// What a token of type byte (<0x00> … <0xFF>) stands for; empty when its text is something else.
  std::string byte_piece(Token token) const;

  std::string file, model, pre;
  std::vector<std::string_view> texts;
  std::vector<TokenType> types;
  std::vector<float> scores;  ///< empty when the file has none
  TextIndex index;            ///< the last of equal texts wins
  std::vector<Token> bytes;   ///< [256] tokens of type byte (<0x00> … <0xFF>), -1 where there is none
  Token bos = -1, eos = -1, unknown = -1, separator = -1;
  bool adds_bos = false, adds_eos = false, adds_separator = false, adds_space_prefix = false, cleans_up = false;
  std::vector<bool> ends_generation, strips_right;

 private:
  void read_entries(const gguf::Metadata& metadata);
  void read_specials(const gguf::Metadata& metadata);
  void find_ends(const gguf::Metadata& metadata);
  void find_stripping(const gguf::Metadata& metadata);
  std::string letters_;  ///< all texts in a row: the vocabulary outlives the file
};

}  // namespace mtmd
