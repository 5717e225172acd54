#include "engine/tokenizer/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/error.h"

namespace mtmd {
namespace {

enum Flag : unsigned { kWholeEntries = 1, kAddsBos = 2, kCleansUp = 4, kPlainText = 8 };

constexpr std::size_t kNone = PreTokenizer::kNoStage;

/// One line a pre-tokenizer: the names that GGUF files use, the published expressions, what else the name implies.
/// kCleansUp only where it is recorded for the family, because it loses text.
struct Row {
  std::string_view names;
  std::vector<const char*> expressions;
  unsigned flags;
  std::size_t thousands = kNone;  ///< what this expression finds is cut into threes from the right
};

// clang-format off
constexpr const char* kGpt2 =
    R"re('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))re";
constexpr const char* kLlama3 =
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)re"
    R"re( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr const char* kQwen2 =
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)re"
    R"re( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr const char* kQwen35 =
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|)re"
    R"re(\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr const char* kGpt4o =
    R"re([^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+(?:'[sS]|'[tT]|'[rR][eE]|)re"
    R"re('[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|)re"
    R"re([^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))+((?=[\p{L}])([^A-Z]))*(?:'[sS]|'[tT]|'[rR][eE]|)re"
    R"re('[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|)re"
    R"re(\s+)re";
constexpr const char* kTekken =
    R"re([^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+|)re"
    R"re([^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))+((?=[\p{L}])([^A-Z]))*|\p{N}|)re"
    R"re( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr const char* kDeepSeekV3 =
    R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)re"
    R"re( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr const char* kKimiK2 =
    R"re(\p{Han}+|)re"
    R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&\P{Han}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&\P{Han}]+)re"
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|)re"
    R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&\P{Han}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&\P{Han}]*)re"
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)re"
    R"re(\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr const char* kTinyAya =
    R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|)re"
    R"re('[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|)re"
    R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|)re"
    R"re('[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|)re"
    R"re(\s+(?!\S)|\s+)re";
constexpr const char* kYoutu =
    R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|)re"
    R"re('[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|)re"
    R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|)re"
    R"re('[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|)re"
    R"re(\s+(?!\S)|\s+)re";
constexpr const char* kGranite97 =
    R"re([^\r\n\p{L}\p{N}]?((?=[\p{L}\p{M}])([^a-z]))*((?=[\p{L}\p{M}])([^A-Z]))+(?:'[sS]|'[tT]|)re"
    R"re('[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|)re"
    R"re([^\r\n\p{L}\p{N}]?((?=[\p{L}\p{M}])([^a-z]))+((?=[\p{L}\p{M}])([^A-Z]))*(?:'[sS]|'[tT]|)re"
    R"re('[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|)re"
    R"re(\s+(?!\S)|\s+)re";
constexpr const char* kExaoneMoe =
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|)re"
    R"re([^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|)re"
    R"re(\s+(?!\S)|\s+)re";
constexpr const char* kBailing =
    R"re('(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)re"
    R"re( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)re";
constexpr const char* kSeedCoder =
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}|)re"
    R"re( ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr const char* kJais2 =
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)re"
    R"re( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|)re"
    R"re(\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})re";
constexpr const char* kMinicpm5 =
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+|)re"
    R"re( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr const char* kLatinGreekCyrillic =
    R"re(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)re";
constexpr const char* kBloom =
    R"re( ?[^(\s|.,!?…。，、।۔،)]+)re";

const std::vector<Row>& rows() {
  static const std::vector<Row> table = {
    {"default", {R"re([\p{P}\$\+<=>\^~\|]+)re", kGpt2, R"re(\p{N}+)re", R"re([0-9][0-9][0-9])re"}, kCleansUp},
    {"gpt-2 mpt olmo phi-2 jina-es jina-de jina-v2-es jina-v2-de jina-v1-en jina-v2-code roberta-bpe a.x-4.0 mellum modern-bert jais", {kGpt2}, kCleansUp},
    {"gigachat exaone4 trillion granite-docling", {kGpt2}, 0},
    {"smollm command-r codeshell", {R"re(\p{N})re", kGpt2}, 0},
    {"starcoder refact exaone minerva-7b mellum2", {R"re(\p{N})re", kGpt2}, kCleansUp},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", {kLlama3}, kWholeEntries | kAddsBos | kCleansUp},
    {"qwen2 deepseek-r1-qwen kormo f2llmv2 megrez hunyuan grok-2 solar-open", {kQwen2}, 0},
    {"stablelm2", {kQwen2}, kCleansUp},
    {"qwen35", {kQwen35}, 0},
    {"smaug-bpe dbrx glm4 chatglm-bpe", {kLlama3}, kCleansUp},
    {"tekken", {kTekken}, kWholeEntries | kAddsBos},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", {kGpt4o}, 0},
    {"deepseek-llm", {R"re([\r\n])re", kLatinGreekCyrillic, R"re(\s?[!-/:-~！-／：-～‘-‟　-。]+)re", R"re(\s+$)re", R"re([一-龥ࠀ-一가-퟿]+)re", R"re(\p{N}+)re"}, 0},
    {"deepseek-coder", {R"re([\r\n])re", R"re(\s?\p{L}+)re", R"re(\s?\p{P}+)re", R"re([一-龥ࠀ-一가-퟿]+)re", R"re(\p{N})re"}, 0},
    {"deepseek-v3 hunyuan-dense joyai-llm", {R"re(\p{N}{1,3})re", R"re([一-龥぀-ゟ゠-ヿ]+)re", kDeepSeekV3}, 0},
    {"falcon", {R"re([\p{P}\$\+<=>\^~\|`]+)re", kGpt2, R"re([0-9][0-9][0-9])re"}, kCleansUp},
    {"bloom poro-chat gpt3-finnish", {kBloom}, kCleansUp},
    {"viking", {kBloom, R"re(\p{N})re"}, kCleansUp},
    {"youtu", {R"re([가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+)re", kYoutu}, kWholeEntries},
    {"granite-embed-multi-97m", {kGranite97}, kWholeEntries},
    {"minicpm5", {R"re(\p{N}{1,3})re", kMinicpm5}, kWholeEntries},
    {"exaone-moe", {kExaoneMoe}, 0},
    {"bailingmoe bailingmoe2 llada-moe", {kBailing}, 0},
    {"seed-coder", {kSeedCoder}, 0},
    {"jais-2", {kJais2}, 0},
    {"chameleon", {R"re(<sentinel:[0-9]+>)re", R"re((IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z)re", R"re(([\t\n]|    |  ))re", R"re(\p{N})re", R"re([\p{P}!-/:-@\[-`{-~])re", kGpt2}, 0},
    {"laguna", {R"re([^\n]+|[\n]+)re", kQwen2}, 0},
    {"kimi-k2", {kKimiK2}, 0},
    {"tiny_aya cohere2moe", {R"re(\d+(?![\d\p{L}\p{M}\p{Pc}]))re", kTinyAya}, 0, 0},
    {"superbpe", {R"re(\p{N}+)re", R"re(\d+)re"}, 0, 1},
    {"afmoe", {R"re(\d+)re", R"re([一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+)re", kDeepSeekV3}, 0, 0},
    {"whitespace", {R"re(\S+)re"}, kPlainText},
    {"gemma4 granite-embed-multi-311m sarvam-moe", {R"re([^\n]+|[\n]+)re"}, kPlainText},
  };
  return table;
}
// clang-format on

template <class F>
void for_each_name(const Row& row, F&& use) {
  for (std::string_view rest = row.names; !rest.empty();) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    use(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

/// One spelling for expressions that say the same: contractions in either case written out, no last branch for the white
/// space that is a piece anyway.
std::string plain(std::string expression) {
  const std::pair<std::string_view, std::string_view> spellings[] = {
      {"(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"},
      {"(?i:[sdmt]|ll|ve|re)", "(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])"},
      {R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])", R"(((?=[\p{L}])([^a-z])))"},
      {R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])", R"(((?=[\p{L}])([^A-Z])))"}};
  for (const auto& [from, to] : spellings)
    for (std::size_t at = 0; (at = expression.find(from, at)) != std::string::npos; at += to.size())
      expression.replace(at, from.size(), to);
  constexpr std::string_view kRest = "|\\s+";
  if (expression.ends_with(kRest)) expression.resize(expression.size() - kRest.size());
  return expression;
}

}  // namespace

std::string_view PreTokenizer::name_of(std::span<const std::string> expressions, bool takes_whole_entries) {
  std::string_view otherwise;
  for (const Row& row : rows()) {
    if (row.thousands != kNone ||
        !std::ranges::equal(row.expressions, expressions, {}, [](const char* e) { return plain(e); }, plain))
      continue;
    const std::string_view first = row.names.substr(0, row.names.find(' '));
    if (((row.flags & kWholeEntries) != 0) == takes_whole_entries) return first;
    if (otherwise.empty()) otherwise = first;
  }
  return otherwise;
}

std::vector<std::string_view> PreTokenizer::names() {
  std::vector<std::string_view> all;
  for (const Row& row : rows()) for_each_name(row, [&](std::string_view name) { all.push_back(name); });
  std::sort(all.begin(), all.end());
  return all;
}

PreTokenizer PreTokenizer::by_name(std::string_view name) {
  for (const Row& row : rows()) {
    bool here = false;
    for_each_name(row, [&](std::string_view n) { here |= n == name; });
    if (!here) continue;
    PreTokenizer result;
    result.takes_whole_entries = row.flags & kWholeEntries;
    result.adds_bos = row.flags & kAddsBos;
    result.cleans_up = row.flags & kCleansUp;
    result.byte_alphabet = !(row.flags & kPlainText);
    result.thousands_ = row.thousands;
    for (const char* expression : row.expressions) result.stages_.emplace_back(parse_pattern(expression));
    return result;
  }
  fail(ErrorCategory::model, "tokenizer.ggml.pre is '{}', which is not supported; supported: {}", name,
       fmt::join(names(), ", "));
}

}  // namespace mtmd
