#include "engine/tokenizer/tokenizer.h"

#include <utility>

#include "engine/base/error.h"
#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/special_tokens.h"
#include "engine/tokenizer/vocabulary.h"

namespace mtmd {
namespace {

constexpr std::size_t kMaxText = std::size_t{1}
                                 << 30;  // positions are 32 bits wide, and a marked space takes three bytes

std::unique_ptr<Encoder> make_encoder(Vocabulary& vocabulary, const gguf::Metadata& metadata) {
  if (vocabulary.model == "gpt2" || vocabulary.model == "gemma4") return make_bpe(vocabulary, metadata);
  if (vocabulary.model == "llama") return make_sentencepiece(vocabulary, metadata);
  if (vocabulary.model == "bert") return make_wordpiece(vocabulary, metadata);
  if (vocabulary.model == "t5") return make_unigram(vocabulary, metadata);
  fail(ErrorCategory::model,
       "{}: tokenizer.ggml.model is '{}', which is not supported; supported: gpt2 (byte-level BPE), llama "
       "(SentencePiece BPE), gemma4, bert (WordPiece), t5 (SentencePiece unigram)",
       vocabulary.file, vocabulary.model);
}

// "clean_up_tokenization_spaces" as the reference does it, in three passes, each over the result of the one before.

// 1. No space before . , ? !
std::string join_marks(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool mark = c == '.' || c == ',' || c == '?' || c == '!';
    if (mark && !out.empty() && out.back() == ' ') out.pop_back();
    out.push_back(c);
  }
  return out;
}

// 2. An apostrophe that stands alone between two spaces loses both.
std::string join_lone_apostrophes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool lone = text.substr(i, 3) == " ' ";
    out.push_back(lone ? '\'' : text[i]);
    if (lone) i += 2;
  }
  return out;
}

// 3. No space before 's 'm 're 've.
std::string join_contractions(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool contraction = false;
    for (const std::string_view ending : {" 's", " 'm", " 're", " 've"})
      contraction |= text.substr(i, ending.size()) == ending;
    if (!contraction) out.push_back(text[i]);
  }
  return out;
}

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(const gguf::Metadata& metadata)
      : vocabulary(metadata), encoder(make_encoder(vocabulary, metadata)), special_tokens(vocabulary) {}
  Vocabulary vocabulary;
  std::unique_ptr<Encoder> encoder;
  SpecialTokens special_tokens;
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

std::unique_ptr<Tokenizer> Tokenizer::load(const gguf::Metadata& metadata) {
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::make_unique<Impl>(metadata)));
}

std::vector<Token> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > kMaxText)
    fail(ErrorCategory::input, "text of {} bytes is too long to tokenize; at most {} bytes at once", text.size(),
         kMaxText);
  const Vocabulary& v = impl_->vocabulary;
  std::vector<Token> tokens;
  tokens.reserve(text.size() / 4 + 8);
  if (options.add_special && v.adds_bos && v.bos >= 0) tokens.push_back(v.bos);
  EncodeScratch scratch;
  bool after_special = true;
  for (const Fragment& fragment : impl_->special_tokens.partition(text, options.parse_special)) {
    if (fragment.token >= 0)
      tokens.push_back(fragment.token);
    else
      impl_->encoder->encode(fragment.text, after_special, scratch, tokens);
    after_special = fragment.token >= 0;
  }
  if (options.add_special && v.adds_eos && v.eos >= 0) tokens.push_back(v.eos);
  if (options.add_special && v.adds_separator && v.separator >= 0) tokens.push_back(v.separator);
  return tokens;
}

std::string Tokenizer::piece(Token token, bool special) const {
  const Vocabulary& v = impl_->vocabulary;
  if (!v.contains(token)) return {};
  switch (v.types[token]) {
    case TokenType::unknown:
    case TokenType::control:
      return special ? std::string(v.texts[token]) : std::string();
    case TokenType::user_defined:
      return std::string(v.texts[token]);
    case TokenType::normal:
    case TokenType::byte:
      return impl_->encoder->piece(token);
    case TokenType::undefined:
    case TokenType::unused:
      break;
  }
  return {};
}

std::string Tokenizer::decode(std::span<const Token> tokens, bool special) const {
  std::string out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string text = piece(tokens[i], special);
    const bool prefixed = i == 0 && impl_->vocabulary.adds_space_prefix && text.substr(0, 1) == " ";
    out.append(text, prefixed ? 1 : 0);
  }
  return out;
}

std::string Tokenizer::detokenize(std::span<const Token> tokens, bool special) const {
  std::string text = decode(tokens, special);
  if (!impl_->vocabulary.cleans_up) return text;
  return join_contractions(join_lone_apostrophes(join_marks(text)));
}

std::int32_t Tokenizer::size() const noexcept { return impl_->vocabulary.size(); }

std::string_view Tokenizer::text(Token token) const noexcept {
  return impl_->vocabulary.contains(token) ? impl_->vocabulary.texts[token] : std::string_view();
}

TokenType Tokenizer::type(Token token) const noexcept {
  return impl_->vocabulary.contains(token) ? impl_->vocabulary.types[token] : TokenType::undefined;
}

Token Tokenizer::find(std::string_view text) const noexcept { return impl_->vocabulary.index.find(text); }
Token Tokenizer::bos() const noexcept { return impl_->vocabulary.bos; }
Token Tokenizer::eos() const noexcept { return impl_->vocabulary.eos; }
bool Tokenizer::adds_bos() const noexcept { return impl_->vocabulary.adds_bos; }
bool Tokenizer::adds_eos() const noexcept { return impl_->vocabulary.adds_eos; }

bool Tokenizer::is_end_of_generation(Token token) const noexcept {
  return impl_->vocabulary.contains(token) && impl_->vocabulary.ends_generation[token];
}

std::string_view Tokenizer::model() const noexcept { return impl_->vocabulary.model; }
std::string_view Tokenizer::pre() const noexcept { return impl_->vocabulary.pre; }

}  // namespace mtmd
