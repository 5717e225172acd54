#include "mtmd/summary/parts.h"

#include <algorithm>
#include <string>

#include "engine/tokenizer/unicode.h"

namespace mtmd {
namespace {

constexpr std::string_view kWhite = " \t\r\n\f\v";

/// How finely a text is cut.
enum class Grain { lines, sentences, words, characters };

/// Does a piece end behind byte `i`?
bool ends_at(std::string_view text, std::size_t i, Grain grain) {
  const char c = text[i];
  switch (grain) {
    case Grain::lines:
      return c == '\n';
    case Grain::sentences:
      return (c == ' ' || c == '\t') && i > 0 && (text[i - 1] == '.' || text[i - 1] == '!' || text[i - 1] == '?');
    case Grain::words:
      return c == ' ' || c == '\t';
    case Grain::characters:
      return i + 1 == text.size() || unicode::begins_character(text[i + 1]);
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kWhite);
  return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(kWhite) - first + 1);
}

class Cutter {
 public:
  Cutter(int most_tokens, const Tokenizer& tokenizer) : most_(std::max(1, most_tokens)), tokenizer_(tokenizer) {}

  std::vector<std::string_view> cut(std::string_view text) {
    pieces(text, Grain::lines);
    flush();
    return std::move(parts_);
  }

 private:
  void pieces(std::string_view text, Grain grain) {
    for (std::size_t begin = 0; begin < text.size();) {
      std::size_t end = begin;
      while (end < text.size() && !ends_at(text, end, grain)) ++end;
      end = std::min(end + 1, text.size());
      add(text.substr(begin, end - begin), grain);
      begin = end;
    }
  }

  void add(std::string_view piece, Grain grain) {
    const int n = count_tokens(piece, tokenizer_);
    if (n <= most_ || trimmed(piece).empty() || grain == Grain::characters) return grow(piece, n);
    pieces(piece, static_cast<Grain>(static_cast<int>(grain) + 1));
  }

  /// Pieces come one after the other, so a part is a run of bytes.
  void grow(std::string_view piece, int n) {
    if (!part_.empty()) {
      const std::string_view both(part_.data(), part_.size() + piece.size());
      int together = tokens_ + n;
      if (together > most_) together = count_tokens(both, tokenizer_);  // often fewer
      if (together <= most_) {
        part_ = both, tokens_ = together;
        return;
      }
      flush();
    }
    part_ = piece, tokens_ = n;
  }

  void flush() {
    if (const auto part = trimmed(part_); !part.empty()) parts_.push_back(part);
    part_ = {}, tokens_ = 0;
  }

  int most_;
  const Tokenizer& tokenizer_;
  std::vector<std::string_view> parts_;
  std::string_view part_;  ///< growing
  int tokens_ = 0;         ///< of it, at most
};

}  // namespace

int count_tokens(std::string_view text, const Tokenizer& tokenizer) {
  return static_cast<int>(tokenizer.encode(text, {.add_special = false, .parse_special = true}).size());
}

std::vector<std::string_view> parts_of(std::string_view text, int most_tokens, const Tokenizer& tokenizer) {
  return Cutter(most_tokens, tokenizer).cut(text);
}

}  // namespace mtmd
