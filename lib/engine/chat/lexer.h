// Source text -> tokens, with Jinja's white space rules (trim_blocks and lstrip_blocks on, one trailing newline
// dropped).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/runtime.h"

namespace mtmd::chat {

enum class TokenKind { text, block_begin, block_end, print_begin, print_end, name, string, integer, real, op, end };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;  ///< text, name, operator, or the unescaped string
  std::int64_t integer = 0;
  double real = 0;
  Position at;
};

/// Throws Error(model) naming `name`, line, column and what was found.
std::vector<Token> tokenize(std::string_view source, std::string_view name);

[[noreturn]] void syntax_error(std::string_view name, Position at, std::string_view what);

}  // namespace mtmd::chat
