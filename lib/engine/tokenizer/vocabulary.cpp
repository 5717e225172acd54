#include "engine/tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "engine/base/error.h"

namespace mtmd {
namespace {

constexpr std::int32_t kMaxTokens = 1 << 26;

// Texts that end a generation wherever they appear in a vocabulary: files often name only one of them.
constexpr std::string_view kEnds[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>",
                                      "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>",
                                      "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>",
                                      "<turn|>", "<|tool_response>", "[e~[", "<｜end▁of▁sentence｜>",
                                      // fill-in-the-middle: padding, repository, separator
                                      "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|fim_repo|>",
                                      "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"};

constexpr const char* kEndKeys[] = {"eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep"};

// Phi-3's tokens that keep the white space behind them.
constexpr std::string_view kPhi3Keeps[] = {"<s>", "<unk>", "<|endoftext|>"};

std::string key(std::string_view name) { return fmt::format("tokenizer.ggml.{}", name); }

}  // namespace

Vocabulary::Vocabulary(const gguf::Metadata& metadata) : file(metadata.file()) {
  model = metadata.require<std::string_view>(key("model"));
  pre = metadata.get_or<std::string_view>(key("pre"), "default");
  if (pre.empty()) pre = "default";
  read_entries(metadata);
  read_specials(metadata);
  find_ends(metadata);
  find_stripping(metadata);
}

void Vocabulary::read_entries(const gguf::Metadata& metadata) {
  const auto tokens = metadata.require<std::vector<std::string_view>>(key("tokens"));
  if (tokens.empty() || tokens.size() > kMaxTokens)
    fail(ErrorCategory::model, "{}: tokenizer.ggml.tokens has {} entries, expected 1 to {}", file, tokens.size(),
         kMaxTokens);
  std::size_t total = 0;
  for (const auto t : tokens) total += t.size();
  letters_.reserve(total);  // views into it must not move
  texts.reserve(tokens.size());
  for (const auto t : tokens) {
    texts.emplace_back(letters_.data() + letters_.size(), t.size());
    letters_.append(t);
  }
  index = TextIndex(texts);
  types.assign(tokens.size(), TokenType::normal);
  if (const auto stored = metadata.get<std::vector<std::int32_t>>(key("token_type"))) {
    if (stored->size() != tokens.size())
      fail(ErrorCategory::model, "{}: tokenizer.ggml.token_type has {} entries for {} tokens", file, stored->size(),
           tokens.size());
    for (std::size_t i = 0; i < types.size(); ++i) {
      const std::int32_t type = (*stored)[i];
      types[i] = type >= 0 && type <= 6 ? static_cast<TokenType>(type) : TokenType::undefined;
    }
  }
  if (auto stored = metadata.get<std::vector<float>>(key("scores"))) {
    if (stored->size() != tokens.size())
      fail(ErrorCategory::model, "{}: tokenizer.ggml.scores has {} entries for {} tokens", file, stored->size(),
           tokens.size());
    scores = std::move(*stored);
  }
  for (int b = 0; b < 256; ++b) bytes.push_back(index.find(fmt::format("<0x{:02X}>", b)));
}

void Vocabulary::read_specials(const gguf::Metadata& metadata) {
  const auto id = [&](const char* name, Token otherwise) {
    const auto stored = metadata.get<std::int64_t>(key(name));
    if (!stored) return contains(otherwise) ? otherwise : -1;
    // some converters write 2^32-1 or -1 for "none"
    if (*stored == -1 || *stored == 0xFFFFFFFFll) return Token{-1};
    if (*stored < 0 || *stored >= size())
      fail(ErrorCategory::model, "{}: tokenizer.ggml.{} is {}, but there are {} tokens", file, name, *stored, size());
    return static_cast<Token>(*stored);
  };
  // Where files leave an id out, the place that the family's tools fixed.
  struct Family {
    std::string_view model;
    Token unknown, bos, eos, separator;
    bool adds_bos, adds_eos, adds_separator, adds_space_prefix;
  };
  static constexpr Family kFamilies[] = {{"llama", 0, 1, 2, -1, true, false, false, true},
                                         {"bert", 100, 101, -1, 102, true, false, true, false},
                                         {"t5", 2, -1, 1, -1, false, true, false, true}};
  Family family{{}, -1, -1, -1, -1, false, false, false, false};
  for (const Family& f : kFamilies)
    if (f.model == model) family = f;
  unknown = id("unknown_token_id", family.unknown);
  bos = id("bos_token_id", model == "bert" ? id("cls_token_id", family.bos) : family.bos);
  eos = id("eos_token_id", family.eos);
  separator = id("seperator_token_id", family.separator);  // GGUF's own spelling
  adds_bos = metadata.get_or<bool>(key("add_bos_token"), family.adds_bos);
  adds_eos = metadata.get_or<bool>(key("add_eos_token"), family.adds_eos);
  adds_separator = metadata.get_or<bool>(key("add_sep_token"), family.adds_separator);
  adds_space_prefix = family.adds_space_prefix && metadata.get_or<bool>(key("add_space_prefix"), true);
  cleans_up = model == "bert";
}

std::string Vocabulary::byte_piece(Token token) const {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  const std::string_view text = texts[token];
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || digit(text[3]) < 0 || digit(text[4]) < 0) return {};
  return std::string(1, static_cast<char>(digit(text[3]) * 16 + digit(text[4])));
}

void Vocabulary::find_ends(const gguf::Metadata& metadata) {
  ends_generation.assign(texts.size(), false);
  for (const auto text : kEnds) {
    const Token token = index.find(text);
    if (token < 0) continue;
    ends_generation[token] = true;
    types[token] = TokenType::control;  // old files store some of them as normal entries
  }
  for (const char* name : kEndKeys) {
    const auto stored = metadata.get<std::int64_t>(key(fmt::format("{}_token_id", name)));
    if (stored && *stored >= 0 && *stored < size()) ends_generation[static_cast<std::size_t>(*stored)] = true;
  }
  if (eos >= 0) ends_generation[eos] = true;
}

void Vocabulary::find_stripping(const gguf::Metadata& metadata) {
  strips_right.assign(texts.size(), false);
  std::string name{metadata.get_or<std::string_view>("general.name", "")};
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (name.find("phi-3") == std::string::npos && name.find("phi3") == std::string::npos) return;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const bool matched = is_special(static_cast<Token>(i)) || types[i] == TokenType::user_defined;
    strips_right[i] =
        matched && std::find(std::begin(kPhi3Keeps), std::end(kPhi3Keeps), texts[i]) == std::end(kPhi3Keeps);
  }
}

}  // namespace mtmd
