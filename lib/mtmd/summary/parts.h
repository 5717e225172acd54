// A long text -> parts that a model can take.
#pragma once

#include <string_view>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace mtmd {

/// Tokens of `text` within a prompt.
int count_tokens(std::string_view text, const Tokenizer& tokenizer);

/// Consecutive parts of `text` of at most `most_tokens` tokens each (at least 1), which are all of it but white space
/// at their ends. Cut between lines; where a line is too long, behind sentences; then between words, then characters. A
/// character of more tokens than that is a part of its own.
std::vector<std::string_view> parts_of(std::string_view text, int most_tokens, const Tokenizer& tokenizer);

}  // namespace mtmd
