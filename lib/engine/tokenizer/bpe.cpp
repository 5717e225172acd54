// Byte-pair encoding from a merge list (Sennrich et al. 2016, arXiv:1508.07909): over the bytes of pre-tokenized text,
// written in GPT-2's alphabet of printable characters (Radford et al. 2019), or over plain characters (gemma4).
#include <algorithm>
#include <array>
#include <unordered_map>

#include "engine/base/error.h"
#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/unicode.h"

namespace mtmd {
namespace {

constexpr std::uint32_t kAlone = 0xFFFFFFFF;  // a character that is in no entry and no merge

/// GPT-2's letter for each byte: printable Latin-1 stands for itself, the rest follows from U+0100 on.
const std::array<std::uint32_t, 256>& letters() {
  static const auto table = [] {
    std::array<std::uint32_t, 256> t{};
    std::uint32_t next = 0x100;
    for (std::uint32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      t[b] = printable ? b : next++;
    }
    return t;
  }();
  return table;
}

std::string spelled(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) unicode::append_utf8(out, letters()[static_cast<unsigned char>(c)]);
  return out;
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return hash_bytes(text); }
};

class Bpe final : public Encoder {
 public:
  Bpe(const Vocabulary& vocabulary, PreTokenizer pre, const std::vector<std::string_view>& merges)
      : vocabulary_(vocabulary), pre_(std::move(pre)) {
    for (const auto text : vocabulary.texts) {
      longest_ = std::max(longest_, text.size());
      if (!pre_.byte_alphabet) breaks_.add(text);
    }
    for (std::uint32_t b = 0; b < 256; ++b) {
      std::string letter;
      unicode::append_utf8(letter, letters()[b]);
      if (pre_.byte_alphabet) byte_symbols_[b] = symbol(letter);
      byte_of_[letters()[b]] = static_cast<unsigned char>(b);
    }
    read_merges(merges);
  }

  void encode(std::string_view text, bool, EncodeScratch& scratch, std::vector<Token>& out) const override {
    std::string repaired;
    if (!unicode::is_valid(text)) text = repaired = unicode::replace_invalid(text);
    if (pre_.byte_alphabet) {
      pre_.split(text, [&](std::string_view word) { encode_word(word, scratch, out); });
    } else {
      const std::string marked = mark_spaces(text);
      pre_.split(marked, [&](std::string_view line) { encode_line(line, scratch, out); });
    }
  }

  std::string piece(Token token) const override {
    const std::string_view text = vocabulary_.texts[token];
    if (!pre_.byte_alphabet)
      return vocabulary_.types[token] == TokenType::byte ? vocabulary_.byte_piece(token) : unmark_spaces(text);
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const auto d = unicode::decode(text.data() + at, text.data() + text.size());
      const auto byte = byte_of_.find(d.code_point);
      if (byte != byte_of_.end())
        out.push_back(static_cast<char>(byte->second));
      else
        out.append(text.substr(at, d.length));  // not of the alphabet: a damaged vocabulary, shown as it is
      at += d.length;
    }
    return out;
  }

 private:
  /// Number of a text that takes part in merging: its token (perhaps `guess`), or a number of its own above them.
  std::uint32_t symbol(std::string_view text, std::size_t guess = 0) {
    const Token token = vocabulary_.index.find(text, guess);
    if (token >= 0) return static_cast<std::uint32_t>(token);
    if (const auto other = others_.find(text); other != others_.end()) return other->second;
    if (!pre_.byte_alphabet) breaks_.add(text);
    const auto next = static_cast<std::uint32_t>(static_cast<std::size_t>(vocabulary_.size()) + others_.size());
    return others_.emplace(text, next).first->second;
  }

  void read_merges(const std::vector<std::string_view>& merges) {
    merges_.reserve(merges.size());
    std::string joined;
    std::uint32_t both = 0;
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const std::size_t space = merges[i].find(' ', 1);
      if (space == std::string_view::npos || space + 1 == merges[i].size())
        fail(ErrorCategory::model, "{}: tokenizer.ggml.merges[{}] is '{}', expected two texts with a space between",
             vocabulary_.file, i, merges[i]);
      const std::string_view left = merges[i].substr(0, space), right = merges[i].substr(space + 1);
      joined.assign(left).append(right);
      both = symbol(joined, std::size_t{both} + 1);  // most files list the results in the order of the merges
      merges_.add(symbol(left), symbol(right), {static_cast<std::uint32_t>(i), both});
    }
  }

  void encode_line(std::string_view line, EncodeScratch& scratch, std::vector<Token>& out) const {
    std::size_t begin = 0;
    std::string_view before;
    for (std::size_t at = 0; at < line.size();) {
      const std::string_view character = line.substr(at, unicode::announced_length(line[at]));
      if (at > begin && breaks_.between(before, character)) {
        encode_word(line.substr(begin, at - begin), scratch, out);
        begin = at;
      }
      before = character;
      at += character.size();
    }
    encode_word(line.substr(begin), scratch, out);
  }

  void encode_word(std::string_view word, EncodeScratch& scratch, std::vector<Token>& out) const {
    if (const auto* known = scratch.cache.find(word)) {
      out.insert(out.end(), known->begin(), known->end());
      return;
    }
    scratch.word.clear();
    if (!whole_entry(word, scratch.word)) merge_word(word, scratch);
    scratch.cache.learn(word, scratch.word);
    out.insert(out.end(), scratch.word.begin(), scratch.word.end());
  }

  bool whole_entry(std::string_view word, std::vector<Token>& out) const {
    if (!pre_.takes_whole_entries || word.size() > longest_) return false;
    const Token token = vocabulary_.index.find(pre_.byte_alphabet ? spelled(word) : std::string(word));
    if (token >= 0) out.push_back(token);
    return token >= 0;
  }

  void merge_word(std::string_view word, EncodeScratch& scratch) const {
    auto& parts = scratch.merge.parts;
    parts.clear();
    for (std::size_t at = 0; at < word.size();) {
      const auto begin = static_cast<std::uint32_t>(at);
      if (pre_.byte_alphabet) {
        parts.push_back({begin, byte_symbols_[static_cast<unsigned char>(word[at++])], {}});
      } else {
        const std::string_view character = word.substr(at, unicode::announced_length(word[at]));
        parts.push_back({begin, find_symbol(character), {}});
        at += character.size();
      }
    }
    const auto end = static_cast<std::uint32_t>(word.size());
    merge_parts(scratch.merge, end, [&](const Part& left, const Part& right, std::uint32_t) {
      return merges_.find(left.symbol, right.symbol);
    });
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::size_t stop = i + 1 < parts.size() ? parts[i + 1].begin : end;
      if (parts[i].symbol < static_cast<std::uint32_t>(vocabulary_.size()))
        scratch.word.push_back(static_cast<Token>(parts[i].symbol));
      else
        append_unlisted(word.substr(parts[i].begin, stop - parts[i].begin), scratch.word);
    }
  }

  std::uint32_t find_symbol(std::string_view text) const {
    const Token token = vocabulary_.index.find(text);
    if (token >= 0) return static_cast<std::uint32_t>(token);
    const auto other = others_.find(text);
    return other == others_.end() ? kAlone : other->second;
  }

  /// A result of merging that is no entry: byte by byte, leaving out what the vocabulary cannot say.
  void append_unlisted(std::string_view bytes, std::vector<Token>& out) const {
    if (!pre_.byte_alphabet) return append_bytes(vocabulary_, bytes, out);
    for (const char c : bytes) {
      const std::uint32_t s = byte_symbols_[static_cast<unsigned char>(c)];
      if (s < static_cast<std::uint32_t>(vocabulary_.size())) out.push_back(static_cast<Token>(s));
    }
  }

  const Vocabulary& vocabulary_;
  PreTokenizer pre_;
  std::array<std::uint32_t, 256> byte_symbols_{};
  std::unordered_map<std::uint32_t, unsigned char> byte_of_;
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> others_;  ///< symbols that are no entries
  PairTable merges_;
  std::size_t longest_ = 0;
  Breaks breaks_;
};

}  // namespace

std::unique_ptr<Encoder> make_bpe(Vocabulary& vocabulary, const gguf::Metadata& metadata) {
  const auto merges = metadata.get<std::vector<std::string_view>>("tokenizer.ggml.merges");
  if (!merges)
    fail(ErrorCategory::model, "{}: tokenizer.ggml.model is '{}', which needs tokenizer.ggml.merges; there are none",
         vocabulary.file, vocabulary.model);
  PreTokenizer pre = PreTokenizer::by_name(vocabulary.model == "gemma4" ? std::string_view("gemma4") : vocabulary.pre);
  vocabulary.cleans_up = pre.cleans_up;
  if (!metadata.has("tokenizer.ggml.add_bos_token")) vocabulary.adds_bos = pre.adds_bos;
  return std::make_unique<Bpe>(vocabulary, std::move(pre), *merges);
}

}  // namespace mtmd
