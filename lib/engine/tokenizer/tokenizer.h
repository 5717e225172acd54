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

/// Immutable after construction; safe to use from several threads. Linear in the text up to a logarithm; no input makes it
/// quadratic. Throws Error(model) for a damaged vocabulary or an unknown tokenizer (naming those supported).
class Tokenizer {
 public:
  static std::unique_ptr<Tokenizer> load(const gguf::Metadata& metadata);
  virtual ~Tokenizer() = default;

  /// Any bytes; invalid UTF-8 is handled like the reference does (U+FFFD or byte tokens).
  std::vector<Token> encode(std::string_view text, EncodeOptions options = {}) const;
  /// The text of `tokens`; control tokens are left out unless `special`.
  std::string decode(std::span<const Token> tokens, bool special = false) const;
  /// The bytes one token stands for inside running text (may be part of a UTF-8 character).
  std::string piece(Token token, bool special = false) const;

  std::int32_t size() const noexcept;
  std::string_view text(Token token) const noexcept;  ///< as stored in the vocabulary
  TokenType type(Token token) const noexcept;
  Token find(std::string_view text) const noexcept;   ///< id of a vocabulary entry, -1 if there is none
  Token bos() const noexcept;                         ///< -1 if there is none
  Token eos() const noexcept;
  bool adds_bos() const noexcept;
  bool adds_eos() const noexcept;
  bool is_end_of_generation(Token token) const noexcept;
  std::string_view model() const noexcept;  ///< "gpt2", "llama", …
  std::string_view pre() const noexcept;    ///< name of the pre-tokenizer

 protected:
  Tokenizer();
  struct Vocabulary;
  std::unique_ptr<Vocabulary> vocabulary_;
};

}  // namespace mtmd
