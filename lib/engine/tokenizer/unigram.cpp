// SentencePiece's unigram model (Kudo 2018, arXiv:1804.10959): of all ways to write the text with entries, the one with
// the highest sum of log probabilities.
#include <algorithm>
#include <limits>

#include "engine/tokenizer/charsmap.h"
#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/entries.h"
#include "engine/tokenizer/unicode.h"

namespace mtmd {
namespace {

constexpr float kUnknownPenalty = 10.0f;  // below the least likely entry, as SentencePiece has it

class Unigram final : public Encoder {
 public:
  Unigram(const Vocabulary& vocabulary, const gguf::Metadata& metadata)
      : vocabulary_(vocabulary),
        entries_(vocabulary,
                 [&](Token t) { return !vocabulary.is_special(t) && vocabulary.types[t] != TokenType::byte; }),
        charsmap_(metadata),
        merges_spaces_(metadata.get_or<bool>("tokenizer.ggml.remove_extra_whitespaces", false)) {
    float least = std::numeric_limits<float>::max();
    for (Token t = 0; t < vocabulary.size(); ++t)
      if (vocabulary.types[t] == TokenType::normal) least = std::min(least, vocabulary.scores[t]);
    unknown_score_ = least - kUnknownPenalty;
  }

  void encode(std::string_view text, bool, EncodeScratch&, std::vector<Token>& out) const override {
    const std::string normal = normalise(text);
    const std::vector<Step> best = search(normal);
    const std::size_t first = out.size();
    for (std::size_t at = normal.size(); at > 0; at = best[at].begin) {
      const bool again = best[at].token == vocabulary_.unknown && out.size() > first && out.back() == best[at].token;
      if (!again && best[at].token >= 0) out.push_back(best[at].token);  // a run of unknown characters is one token
    }
    std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
  }

  std::string piece(Token token) const override {
    if (vocabulary_.types[token] == TokenType::byte) return vocabulary_.byte_piece(token);
    return unmark_spaces(vocabulary_.texts[token]);
  }

 private:
  struct Step {
    double score = -std::numeric_limits<double>::infinity();  ///< of the best way to get here
    std::size_t begin = 0;                                    ///< where its last token begins
    Token token = -1;
  };

  /// The text after the model's own character map, spaces written as U+2581: one before the first word, and one instead
  /// of several where the model says so.
  std::string normalise(std::string_view text) const {
    std::string out;
    out.reserve(text.size() + text.size() / 2);
    bool in_word = false, marked = false;
    const auto put = [&](std::string_view part) {
      for (const char c : part) {
        if (c == ' ') {
          in_word = false;
          if (!merges_spaces_) out.append(kSpaceMark);
          continue;
        }
        if (!in_word && ((vocabulary_.adds_space_prefix && !marked) || merges_spaces_)) {
          out.append(kSpaceMark);
          marked = true;
        }
        in_word = true;
        out.push_back(c);
      }
    };
    for (std::size_t at = 0; at < text.size();) at += charsmap_.replace(text.substr(at), put);
    return out;
  }

  /// Viterbi: for each place the best way to write everything before it.
  std::vector<Step> search(std::string_view text) const {
    std::vector<Step> best(text.size() + 1);
    best[0].score = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = std::min<std::size_t>(unicode::announced_length(text[at]), text.size() - at);
      const double so_far = best[at].score;
      const auto offer = [&](Token token, std::size_t n, double score) {
        Step& step = best[at + n];
        if (so_far + score > step.score) step = {so_far + score, at, token};
      };
      bool has_single = false;
      entries_.prefixes(text.substr(at), [&](Token token, std::size_t n) {
        has_single |= n == length;
        offer(token, n, vocabulary_.types[token] == TokenType::user_defined ? 0.0 : vocabulary_.scores[token]);
      });
      if (!has_single) offer(vocabulary_.unknown, length, unknown_score_);
      at += length;
    }
    return best;
  }

  const Vocabulary& vocabulary_;
  Entries entries_;
  CharsMap charsmap_;
  bool merges_spaces_;
  double unknown_score_ = 0;
};

}  // namespace

std::unique_ptr<Encoder> make_unigram(Vocabulary& vocabulary, const gguf::Metadata& metadata) {
  require_scores(vocabulary);
  return std::make_unique<Unigram>(vocabulary, metadata);
}

}  // namespace mtmd
