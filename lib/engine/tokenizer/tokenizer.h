// Text <-> token ids, from the vocabulary in a GGUF file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf.h"

namespace mtmd {

using Token = std::int32_t;

/// tokenizer.ggml.token_type
enum class TokenType : std::int32_t { undefined, normal, unknown, control, user_defined, unused, byte };

struct EncodeOptions {
  bool add_special = false;    ///< BOS / EOS as the model file asks
  bool parse_special = false;  ///< recognise control tokens in the text (user-defined ones always are)
};

/// Immutable after construction; safe to use from several threads; keeps nothing of the metadata. Encoding takes time
/// linear in the text up to a logarithm; no text makes it quadratic.
class Tokenizer {
 public:
  /// Throws Error(model) for a damaged vocabulary, and for a tokenizer or pre-tokenizer that is not supported (naming
  /// those that are).
  static std::unique_ptr<Tokenizer> load(const gguf::Metadata& metadata);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Any bytes, at most 128 MiB (else Error(input)). What is not UTF-8 becomes U+FFFD byte by byte in byte-level BPE,
  /// and byte tokens in SentencePiece, as in the reference.
  std::vector<Token> encode(std::string_view text, EncodeOptions options = {}) const;
  /// The pieces of `tokens` in a row, less the space that encode() puts before the first word (add_space_prefix);
  /// control tokens are left out unless `special`. Ids that are not in the vocabulary say nothing.
  std::string decode(std::span<const Token> tokens, bool special = false) const;
  /// decode(), and for the pre-tokenizers whose published settings say so (clean_up_tokenization_spaces) without the
  /// spaces before . , ? ! and around apostrophes. Loses text: for comparing with the reference only.
  std::string detokenize(std::span<const Token> tokens, bool special = false) const;
  /// The bytes one token stands for inside running text (may be part of a UTF-8 character).
  std::string piece(Token token, bool special = false) const;

  std::int32_t size() const noexcept;
  std::string_view text(Token token) const noexcept;  ///< as stored in the vocabulary; empty when out of range
  TokenType type(Token token) const noexcept;         ///< undefined when out of range
  Token find(std::string_view text) const noexcept;   ///< id of a vocabulary entry, -1 if there is none
  Token bos() const noexcept;                         ///< -1 if there is none
  Token eos() const noexcept;
  bool adds_bos() const noexcept;
  bool adds_eos() const noexcept;
  bool is_end_of_generation(Token token) const noexcept;
  std::string_view model() const noexcept;  ///< "gpt2", "llama", …
  std::string_view pre() const noexcept;    ///< name of the pre-tokenizer

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mtmd
