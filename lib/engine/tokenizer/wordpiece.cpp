// WordPiece (Devlin et al. 2018, arXiv:1810.04805, the uncased form): words in lower case without accents, cut greedily
// into the longest entries. GGUF writes the first piece of a word with U+2581 in front and the others bare.
#include <algorithm>

#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/entries.h"
#include "engine/tokenizer/unicode.h"

namespace mtmd {
namespace {

/// CJK ideographs are words of their own. The ranges are those of BERT's tokenizer as published in its Rust form, gap
/// at U+2B820 included: the vocabularies were used with it.
constexpr unicode::Set::Range kIdeographs[] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF},
                                               {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF},
                                               {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};

class WordPiece final : public Encoder {
 public:
  explicit WordPiece(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), entries_(vocabulary, [](Token) { return true; }) {
    alone_ = unicode::category("P");
    const unicode::Set symbols = unicode::category("S");  // only those of ASCII
    for (const auto range : symbols.ranges())
      if (range.first < 0x7F) alone_.add(range.first, std::min<std::uint32_t>(range.last, 0x7E));
    for (const auto range : kIdeographs) alone_.add(range.first, range.last);
    alone_ = alone_.normalised();
    for (const char* name : {"M", "Cc", "Cf", "Cs", "Co"}) dropped_.add(unicode::category(name));
    dropped_.add(unicode::kReplacement, unicode::kReplacement);
    dropped_ = dropped_.normalised();
    space_ = unicode::white_space().normalised();
  }

  void encode(std::string_view text, bool, EncodeScratch& scratch, std::vector<Token>& out) const override {
    std::string word{kSpaceMark};
    const auto finish = [&] {
      if (word.size() > kSpaceMark.size()) encode_word(word, scratch, out);
      word.resize(kSpaceMark.size());
    };
    for (std::size_t at = 0; at < text.size();) {
      const auto d = unicode::decode(text.data() + at, text.data() + text.size());
      at += d.length;
      const std::uint32_t c = unicode::base_letter(d.code_point);
      if (space_.contains_sorted(c)) {
        finish();
      } else if (!dropped_.contains_sorted(c)) {
        const bool alone = alone_.contains_sorted(c);
        if (alone) finish();
        unicode::append_utf8(word, unicode::lower_case(c));
        if (alone) finish();
      }
    }
    finish();
  }

  std::string piece(Token token) const override { return unmark_spaces(vocabulary_.texts[token]); }

 private:
  /// The longest entry at each place; a word that cannot be written with entries is one unknown token.
  void encode_word(std::string_view word, EncodeScratch& scratch, std::vector<Token>& out) const {
    if (const auto* known = scratch.cache.find(word)) {
      out.insert(out.end(), known->begin(), known->end());
      return;
    }
    scratch.word.clear();
    for (std::size_t at = 0; at < word.size();) {
      std::size_t length = 0;
      Token token = -1;
      entries_.prefixes(word.substr(at), [&](Token entry, std::size_t n) {
        token = entry;
        length = n;
      });
      if (token < 0) {
        scratch.word.assign(vocabulary_.unknown >= 0 ? 1 : 0, vocabulary_.unknown);
        break;
      }
      scratch.word.push_back(token);
      at += length;
    }
    scratch.cache.learn(word, scratch.word);
    out.insert(out.end(), scratch.word.begin(), scratch.word.end());
  }

  const Vocabulary& vocabulary_;
  Entries entries_;
  unicode::Set alone_, dropped_,
      space_;  ///< ascending: words of one character, characters left out (accents too), separators
};

}  // namespace

std::unique_ptr<Encoder> make_wordpiece(Vocabulary& vocabulary, const gguf::Metadata&) {
  return std::make_unique<WordPiece>(vocabulary);
}

}  // namespace mtmd
