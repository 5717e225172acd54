// SentencePiece's BPE (Kudo & Richardson 2018, arXiv:1808.06226): neighbours join into the vocabulary entry with the
// highest score; characters that are no entry fall back to byte tokens.
#include <algorithm>
#include <bit>

#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/unicode.h"

namespace mtmd {
namespace {

constexpr std::uint32_t kNoEntry = 0xFFFFFFFF;

/// Numbers in the order of scores, highest first; equal ones for equal scores, between which position decides. (Floats
/// are ordered as their bits are, the negative ones backwards.)
std::uint32_t rank(float score) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // -0 is 0
  return bits >> 31 != 0 ? bits : ~(bits | 0x80000000u);
}

class SentencePiece final : public Encoder {
 public:
  explicit SentencePiece(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    for (const auto text : vocabulary.texts) {
      breaks_.add(text);
      longest_ = std::max(longest_, text.size());
    }
  }

  void encode(std::string_view text, bool after_special, EncodeScratch& scratch,
              std::vector<Token>& out) const override {
    std::string marked = mark_spaces(text);
    if (after_special && vocabulary_.adds_space_prefix) marked.insert(0, kSpaceMark);
    const std::string_view all = marked;
    std::size_t begin = 0;
    std::string_view before;
    for (std::size_t at = 0; at < all.size();) {
      const std::string_view character = all.substr(at, unicode::announced_length(all[at]));
      if (at > begin && breaks_.between(before, character)) {
        encode_word(all.substr(begin, at - begin), scratch, out);
        begin = at;
      }
      before = character;
      at += character.size();
    }
    encode_word(all.substr(begin), scratch, out);
  }

  std::string piece(Token token) const override {
    if (vocabulary_.types[token] == TokenType::byte) return vocabulary_.byte_piece(token);
    return unmark_spaces(vocabulary_.texts[token]);
  }

 private:
  void encode_word(std::string_view word, EncodeScratch& scratch, std::vector<Token>& out) const {
    if (const auto* known = scratch.cache.find(word)) {
      out.insert(out.end(), known->begin(), known->end());
      return;
    }
    auto& parts = scratch.merge.parts;
    parts.clear();
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t length = std::min<std::size_t>(unicode::announced_length(word[at]), word.size() - at);
      const Token token = vocabulary_.index.find(word.substr(at, length));
      parts.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(token), {}});
      at += length;
    }
    const auto end = static_cast<std::uint32_t>(word.size());
    merge_parts(scratch.merge, end, [&](const Part& left, const Part&, std::uint32_t stop) {
      if (stop - left.begin > longest_) return Merge{};
      const Token token = vocabulary_.index.find(word.substr(left.begin, stop - left.begin));
      return token < 0 ? Merge{} : Merge{rank(vocabulary_.scores[token]), static_cast<std::uint32_t>(token)};
    });
    scratch.word.clear();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::size_t stop = i + 1 < parts.size() ? parts[i + 1].begin : end;
      if (parts[i].symbol != kNoEntry)
        scratch.word.push_back(static_cast<Token>(parts[i].symbol));
      else
        append_bytes(vocabulary_, word.substr(parts[i].begin, stop - parts[i].begin), scratch.word);
    }
    scratch.cache.learn(word, scratch.word);
    out.insert(out.end(), scratch.word.begin(), scratch.word.end());
  }

  const Vocabulary& vocabulary_;
  std::size_t longest_ = 0;
  Breaks breaks_;
};

}  // namespace

std::unique_ptr<Encoder> make_sentencepiece(Vocabulary& vocabulary, const gguf::Metadata&) {
  require_scores(vocabulary);
  return std::make_unique<SentencePiece>(vocabulary);
}

}  // namespace mtmd
