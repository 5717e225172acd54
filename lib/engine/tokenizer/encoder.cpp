#include "engine/tokenizer/encoder.h"

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "engine/tokenizer/unicode.h"

namespace mtmd {
namespace {

std::string replaced(std::string_view text, std::string_view what, std::string_view with) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (;;) {
    const std::size_t at = text.find(what);
    out.append(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    out.append(with);
    text.remove_prefix(at + what.size());
  }
}

}  // namespace

std::string mark_spaces(std::string_view text) { return replaced(text, " ", kSpaceMark); }

std::string unmark_spaces(std::string_view text) { return replaced(text, kSpaceMark, " "); }

void require_scores(const Vocabulary& vocabulary) {
  if (vocabulary.scores.empty())
    fail(ErrorCategory::model, "{}: tokenizer.ggml.model is '{}', which needs tokenizer.ggml.scores; there are none",
         vocabulary.file, vocabulary.model);
  for (std::size_t i = 0; i < vocabulary.scores.size(); ++i)
    if (std::isnan(vocabulary.scores[i]))
      fail(ErrorCategory::model, "{}: tokenizer.ggml.scores[{}] is not a number", vocabulary.file, i);
}

void append_bytes(const Vocabulary& vocabulary, std::string_view bytes, std::vector<Token>& out) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Token token = vocabulary.bytes[static_cast<unsigned char>(bytes[i])];
    if (token < 0) token = vocabulary.index.find(bytes.substr(i, 1));
    if (token < 0) token = vocabulary.unknown;
    if (token >= 0) out.push_back(token);
  }
}

void Breaks::add(std::string_view entry) {
  std::string_view before;
  for (std::size_t at = 0; at < entry.size();) {
    const std::string_view character = entry.substr(at, unicode::announced_length(entry[at]));
    if (at > 0 && character == kSpaceMark) before_space_.insert(packed(before));
    if (before.size() == 1 && character.size() == 1 && is_ascii(before) && is_ascii(character))
      side_by_side_[pair(before, character)] = true;
    before = character;
    at += character.size();
  }
}

std::uint64_t Breaks::packed(std::string_view character) noexcept {
  std::uint64_t key = character.size();
  for (const char c : character) key = key << 8 | static_cast<unsigned char>(c);
  return key;
}

}  // namespace mtmd
