#include "mtmd/convert/hf_tokenizer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>

#include "engine/base/error.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/tokenizer.h"

namespace mtmd::convert {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kGpt2Expression = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
constexpr std::int64_t kMaxTokens = 1 << 24;

/// Entries by id; ids that nothing has are padding.
struct Entries {
  std::vector<std::string> texts;
  std::vector<std::int32_t> types;
};

std::int32_t id_of(TokenType type) { return static_cast<std::int32_t>(type); }

bool is_byte(const std::string& text) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return text.size() == 6 && text.starts_with("<0x") && hex(text[3]) && hex(text[4]) && text[5] == '>';
}

class Reader {
 public:
  Reader(const fs::path& folder, const Config& config, const TokenizerOptions& options)
      : file_(Config::read(folder / "tokenizer.json")),
        model_(file_.object("model")),
        settings_(Config::read_if_present(folder / "tokenizer_config.json")),
        generation_(Config::read_if_present(folder / "generation_config.json")),
        config_(config),
        options_(options),
        folder_(folder) {}

  void put(gguf::Writer& w) {
    if (const std::string type = model_.text_or("type", "BPE"); type != "BPE")
      model_.reject("type", "BPE: other kinds of tokenizers are not converted");
    read_entries();
    const bool bytes_fall_back = model_.flag_or("byte_fallback", false);
    w.set("tokenizer.ggml.model", bytes_fall_back ? "llama" : "gpt2");
    w.set("tokenizer.ggml.pre", bytes_fall_back ? std::string("default") : pre_tokenizer());
    w.set("tokenizer.ggml.tokens", std::span<const std::string>(entries_.texts));
    w.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(entries_.types));
    if (bytes_fall_back) {
      const auto scores = merge_scores();
      w.set("tokenizer.ggml.scores", std::span<const float>(scores));
      w.set("tokenizer.ggml.add_space_prefix", adds_space_prefix());
    } else {
      const auto list = merges();
      w.set("tokenizer.ggml.merges", std::span<const std::string>(list));
    }
    put_specials(w);
    put_template(w);
  }

 private:
  void read_entries() {
    const Config vocab = model_.object("vocab");
    const auto place = [&](std::int64_t id, const std::string& text, TokenType type, const Config& where) {
      if (id < 0 || id >= std::min(kMaxTokens, options_.n_vocab))
        where.reject(text, fmt::format("an id below {}, the rows of the embeddings", options_.n_vocab));
      const auto at = static_cast<std::size_t>(id);
      if (at >= entries_.texts.size()) {
        entries_.texts.resize(at + 1);
        entries_.types.resize(at + 1, id_of(TokenType::undefined));
      }
      entries_.texts[at] = text;
      entries_.types[at] = id_of(type);
    };
    for (const auto& [text, id] : vocab.json().items()) {
      if (!id.is_number_integer()) vocab.reject(text, "an id");
      place(id.get<std::int64_t>(), text, is_byte(text) ? TokenType::byte : TokenType::normal, vocab);
    }
    const std::string unknown = model_.text_or("unk_token", "");
    if (const Json* added = file_.find("added_tokens"); added && added->is_array())
      for (const Json& entry : *added) {
        const Config token(entry, file_.where() + ": added_tokens");
        const std::string text = token.text("content");
        const TokenType type = text == unknown                   ? TokenType::unknown
                               : token.flag_or("special", false) ? TokenType::control
                                                                 : TokenType::user_defined;
        place(token.integer("id", 0, kMaxTokens), text, type, token);
      }
    const auto n = static_cast<std::size_t>(options_.n_vocab);
    entries_.texts.resize(n);
    entries_.types.resize(n, id_of(TokenType::undefined));
    for (std::size_t i = 0; i < n; ++i) {
      if (entries_.types[i] != id_of(TokenType::undefined)) continue;
      entries_.texts[i] = fmt::format("[PAD{}]", i);
      entries_.types[i] = id_of(TokenType::unused);
    }
  }

  /// "left right", whichever of its two forms the file uses.
  std::vector<std::string> merges() const {
    const Json* list = model_.find("merges");
    if (!list || !list->is_array()) model_.reject("merges", "a list");
    std::vector<std::string> result;
    for (const Json& merge : *list) {
      const bool pair = merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
      if (!pair && !merge.is_string()) model_.reject("merges", "a list of pairs");
      result.push_back(pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                            : merge.get<std::string>());
    }
    return result;
  }

  /// SentencePiece joins the neighbours whose entry has the highest score: the earlier a merge, the higher.
  std::vector<float> merge_scores() const {
    const auto list = merges();
    std::map<std::string, std::size_t> rank;
    for (std::size_t i = 0; i < list.size(); ++i) {
      std::string joined = list[i];
      // The space between the two is the only plain one: those of the text are written as U+2581.
      joined.erase(joined.find(' '), 1);
      rank.emplace(std::move(joined), i);
    }
    std::vector<float> scores;
    for (std::size_t i = 0; i < entries_.texts.size(); ++i) {
      const auto found = rank.find(entries_.texts[i]);
      const bool ordinary = entries_.types[i] == id_of(TokenType::normal);
      scores.push_back(!ordinary ? 0.0f : -static_cast<float>(1 + (found == rank.end() ? list.size() : found->second)));
    }
    return scores;
  }

  // How texts are cut.

  void collect(const Config& step, std::vector<std::string>& expressions) const {
    const std::string type = step.text_or("type", "");
    if (type == "Sequence") {
      const Json* steps = step.find("pretokenizers");
      if (!steps || !steps->is_array()) step.reject("pretokenizers", "a list");
      for (const Json& inner : *steps) collect({inner, step.where()}, expressions);
    } else if (type == "Split") {
      const Config pattern = step.object("pattern");
      expressions.push_back(pattern.has("Regex") ? pattern.text("Regex") : pattern.text("String"));
    } else if (type == "Digits") {
      expressions.push_back(step.flag_or("individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)");
    } else if (type == "ByteLevel") {
      if (step.flag_or("use_regex", true)) expressions.push_back(kGpt2Expression);
    } else {
      step.reject("type", "Sequence, Split, Digits or ByteLevel");
    }
  }

  std::string pre_tokenizer() const {
    if (!options_.pre_tokenizer.empty()) {
      PreTokenizer::by_name(options_.pre_tokenizer);  // throws when it is not known
      return options_.pre_tokenizer;
    }
    std::vector<std::string> expressions;
    collect(file_.object("pre_tokenizer"), expressions);
    const auto name = PreTokenizer::name_of(expressions, model_.flag_or("ignore_merges", false));
    if (name.empty())
      fail(ErrorCategory::model,
           "{}: pre_tokenizer cuts with '{}', which is none of the known expressions; name the closest with --pre: {}",
           file_.where(), fmt::join(expressions, "' then '"), fmt::join(PreTokenizer::names(), ", "));
    return std::string(name);
  }

  bool adds_space_prefix() const {
    const std::string normalizer = file_.object_or_empty("normalizer").json().dump();
    if (normalizer.find("\"Prepend\"") != std::string::npos) return true;
    const Config pre = file_.object_or_empty("pre_tokenizer");
    return pre.text_or("type", "") == "Metaspace" && pre.text_or("prepend_scheme", "always") != "never";
  }

  // Special tokens.

  std::optional<std::uint32_t> find(const std::string& text) const {
    const auto at = std::find(entries_.texts.begin(), entries_.texts.end(), text);
    if (text.empty() || at == entries_.texts.end()) return std::nullopt;
    return static_cast<std::uint32_t>(at - entries_.texts.begin());
  }

  /// By text in tokenizer_config.json, else by number in config.json or generation_config.json.
  std::optional<std::uint32_t> special(const std::string& name) const {
    if (const Json* value = settings_.find(name + "_token")) {
      const std::string text = value->is_object()   ? value->value("content", "")
                               : value->is_string() ? value->get<std::string>()
                                                    : "";
      if (const auto id = find(text)) return id;
    }
    for (const Config* c : {&generation_, &config_}) {
      const Json* value = c->find(name + "_token_id");
      if (value && value->is_array() && !value->empty()) value = &value->front();
      if (value && value->is_number_unsigned() && value->get<std::uint64_t>() < entries_.texts.size())
        return value->get<std::uint32_t>();
    }
    return std::nullopt;
  }

  /// Whether the post-processor's template puts a special token first (or last).
  bool template_adds(bool first) const {
    const auto look = [&](const Json& step, const auto& self) -> bool {
      if (!step.is_object()) return false;
      if (step.value("type", "") == "Sequence" && step.contains("processors") && step["processors"].is_array())
        return std::any_of(step["processors"].begin(), step["processors"].end(),
                           [&](const Json& inner) { return self(inner, self); });
      if (step.value("type", "") != "TemplateProcessing" || !step.contains("single")) return false;
      const Json& single = step["single"];
      if (!single.is_array() || single.empty()) return false;
      const Json& end = first ? single.front() : single.back();
      return end.is_object() && end.contains("SpecialToken");
    };
    const Json* processor = file_.find("post_processor");
    return processor && look(*processor, look);
  }

  void put_specials(gguf::Writer& w) const {
    const std::pair<const char*, const char*> names[] = {
        {"bos", "bos"}, {"eos", "eos"}, {"unk", "unknown"}, {"pad", "padding"}};
    for (const auto& [name, key] : names)
      if (const auto id = special(name)) w.set(fmt::format("tokenizer.ggml.{}_token_id", key), *id);
    w.set("tokenizer.ggml.add_bos_token", settings_.flag_or("add_bos_token", template_adds(true)));
    w.set("tokenizer.ggml.add_eos_token", settings_.flag_or("add_eos_token", template_adds(false)));
  }

  void put_template(gguf::Writer& w) const {
    if (const fs::path own = folder_ / "chat_template.jinja"; fs::exists(own))
      return w.set("tokenizer.chat_template", read_text(own));
    const Json* value = settings_.find("chat_template");
    if (value && value->is_string()) return w.set("tokenizer.chat_template", value->get<std::string>());
    if (!value || !value->is_array()) return;
    for (const Json& entry : *value) {
      if (!entry.is_object() || entry.value("name", "") != "default") continue;
      return w.set("tokenizer.chat_template", entry.value("template", ""));
    }
  }

  Config file_, model_, settings_, generation_;
  const Config& config_;
  const TokenizerOptions& options_;
  fs::path folder_;
  Entries entries_;
};

}  // namespace

void put_tokenizer(gguf::Writer& writer, const fs::path& folder, const Config& config,
                   const TokenizerOptions& options) {
  Reader(folder, config, options).put(writer);
}

}  // namespace mtmd::convert
