// The automata against std::regex, which backtracks: on ASCII, where the Unicode categories of the published
// expressions can be written out as ranges.
#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>

#include "engine/base/error.h"
#include "engine/tokenizer/pre_tokenizer.h"

namespace mtmd {
namespace {

using Pieces = std::vector<std::string>;

Pieces split(const PreTokenizer& pre, const std::string& text) {
  Pieces pieces;
  pre.split(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

/// \p{..} as ASCII, outside and inside of brackets.
std::string in_ascii(std::string expression) {
  static const std::pair<const char*, const char*> inside[] = {
      {"\\p{L}", "A-Za-z"},   {"\\p{N}", "0-9"}, {"\\p{Lu}", "A-Z"},
      {"\\p{Ll}", "a-z"},     {"\\p{Lt}", ""},   {"\\p{Lm}", ""},
      {"\\p{Lo}", ""},        {"\\p{M}", ""},    {"\\p{P}", "!-#%-*,-\\/:;?@\\[-\\]_{}"},
      {"\\p{S}", "$+<=>^`|~"}};
  std::string out;
  bool bracket = false;
  for (std::size_t at = 0; at < expression.size();) {
    bool replaced = false;
    for (const auto& [from, to] : inside) {
      if (expression.compare(at, std::string(from).size(), from) != 0) continue;
      at += std::string(from).size();
      if (!bracket && *to == '\0') {  // nothing in ASCII: only ever followed by *
        ++at;
      } else {
        out += bracket ? to : "[" + std::string(to) + "]";
      }
      replaced = true;
      break;
    }
    if (replaced) continue;
    if (expression[at] == '\\') {
      out += expression.substr(at, 2);
      at += 2;
      continue;
    }
    if (expression[at] == '[' && bracket) out += '\\';
    if (expression[at] == '[') bracket = true;
    if (expression[at] == ']') bracket = false;
    out += expression[at++];
  }
  return out;
}

Pieces split_by_regex(const std::vector<std::regex>& stages, std::string text) {
  Pieces pieces = {std::move(text)};
  for (const std::regex& stage : stages) {
    Pieces next;
    for (const std::string& piece : pieces) {
      std::size_t rest = 0;
      for (std::sregex_iterator m(piece.begin(), piece.end(), stage), end; m != end; ++m) {
        const auto at = static_cast<std::size_t>(m->position());
        if (at > rest) next.push_back(piece.substr(rest, at - rest));
        if (m->length() > 0) next.push_back(m->str());
        rest = at + static_cast<std::size_t>(m->length());
      }
      if (rest < piece.size()) next.push_back(piece.substr(rest));
    }
    pieces = std::move(next);
  }
  return pieces;
}

std::string random_ascii(std::mt19937& random) {
  static constexpr std::string_view kinds[] = {
      "abcxyz",          "ABCXYZ", "0123456789", " ", " \t\n\r", "'", "'s", ".,!?()[]{}<>|~^+-=_/\\\"#$%&*:;@`",
      "sStTrReEvVmMlLdD"};
  std::string text;
  const std::size_t n = random() % 24;
  while (text.size() < n) {
    const auto kind = kinds[random() % std::size(kinds)];
    for (std::size_t run = 1 + random() % 4; run > 0; --run) text += kind[random() % kind.size()];
  }
  return text;
}

void compare(const std::string& name, const std::vector<std::string>& expressions) {
  SCOPED_TRACE(name);
  const auto pre = PreTokenizer::by_name(name);
  std::vector<std::regex> stages;
  for (const auto& e : expressions) stages.emplace_back(in_ascii(e), std::regex::ECMAScript | std::regex::optimize);
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    const std::string text = random_ascii(random);
    ASSERT_EQ(split(pre, text), split_by_regex(stages, text)) << testing::PrintToString(text);
  }
}

TEST(Split, RequiredOnesAgreeWithABacktrackingEngine) {
  const std::string gpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
  const std::string words = R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|)";
  const std::string rest = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  compare("gpt-2", {gpt2});
  compare("llama-bpe", {words + R"(\p{N}{1,3})" + rest});
  compare("qwen2", {words + R"(\p{N})" + rest});
  compare("smollm", {R"(\p{N})", gpt2});
  compare("default", {R"([\p{P}\$\+<=>\^~\|]+)", gpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"});
}

TEST(Split, AllPublishedOnesAgreeWithABacktrackingEngine) {
  std::ifstream in(MTMD_CONFORMANCE "/tokenizer/pre-tokenizers.json");
  if (!in) GTEST_SKIP() << "pre-tokenizers.json of the conformance kit is not there";
  const auto published = nlohmann::json::parse(in).at("pre");
  std::map<std::string, bool> done;  // families share their expressions
  int compared = 0;
  for (const auto name : PreTokenizer::names()) {
    ASSERT_TRUE(published.contains(std::string(name))) << name;
    const auto& entry = published.at(std::string(name));
    EXPECT_EQ(PreTokenizer::by_name(name).takes_whole_entries, entry.value("ignore_merges", false)) << name;
    EXPECT_EQ(PreTokenizer::by_name(name).byte_alphabet, entry.value("byte_encode", true)) << name;
    const auto expressions = entry.at("regex").get<std::vector<std::string>>();
    const std::string all = entry.at("regex").dump();
    const bool ascii = std::all_of(all.begin(), all.end(), [](char c) { return static_cast<signed char>(c) >= 0; });
    // Not for std::regex: names of scripts and rules, and libstdc++ forgets the character before a lookahead's \b.
    // These have tests of their own below.
    const bool beyond = all.find("Han") != all.npos || all.find("AFMoE") != all.npos || all.find("\\\\b") != all.npos;
    if (!ascii || beyond || std::exchange(done[all], true)) continue;
    compare(std::string(name), expressions);
    ++compared;
  }
  EXPECT_GE(compared, 15);
}

TEST(Split, UnicodeLettersDigitsAndSpaces) {
  const auto pre = PreTokenizer::by_name("qwen2");
  EXPECT_EQ(split(pre, "naïve Ελλην٣٤x"), (Pieces{"naïve", " Ελλην", "٣", "٤", "x"}));
  EXPECT_EQ(split(pre, "a\u3000\u3000b"), (Pieces{"a", "\u3000", "\u3000b"}));  // ideographic spaces are \s
  EXPECT_EQ(split(pre, "日本、語"), (Pieces{"日本", "、語"}));
  EXPECT_EQ(split(PreTokenizer::by_name("gemma4"), "a b\n\nc"), (Pieces{"a b", "\n\n", "c"}));
  EXPECT_EQ(split(PreTokenizer::by_name("tekken"), "HelloWORLDÄaÄ"), (Pieces{"Hello", "WORLDÄaÄ"}));
}

TEST(Split, NamesOfExpressionsAsTokenizerJsonSpellsThem) {
  const auto name = [](std::vector<std::string> expressions, bool whole) {
    return PreTokenizer::name_of(expressions, whole);
  };
  const std::string words = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)";
  const std::string rest = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  EXPECT_EQ(name({words + R"(\p{N}{1,3})" + rest}, true), "llama-bpe");
  EXPECT_EQ(name({words + R"(\p{N}{1,3})" + rest}, false), "smaug-bpe");
  EXPECT_EQ(name({words + R"(\p{N})" + rest}, false), "qwen2");
  const std::string tekken = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                             R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|)"
                             R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  EXPECT_EQ(name({tekken}, true), "tekken");
  EXPECT_EQ(name({"x+"}, false), "");
  EXPECT_EQ(name({}, false), "");
}

TEST(Split, NumbersAreCutIntoThousands) {
  const auto aya = PreTokenizer::by_name("tiny_aya");
  EXPECT_EQ(split(aya, "1234567 x12345 6789"), (Pieces{"1", "234", "567", " x", "12", "345", " ", "6", "789"}));
  EXPECT_EQ(split(aya, "1234abc"), (Pieces{"123", "4", "abc"}));  // no word boundary behind the number
  EXPECT_EQ(split(PreTokenizer::by_name("superbpe"), "a1234b٣٤٥٦"), (Pieces{"a", "1", "234", "b", "٣", "٤٥٦"}));
  EXPECT_EQ(split(PreTokenizer::by_name("afmoe"), "12345"), (Pieces{"12", "345"}));
}

TEST(Split, HanIdeographsStandApart) {
  const auto pre = PreTokenizer::by_name("kimi-k2");
  EXPECT_EQ(split(pre, "abc你好def世界。"), (Pieces{"abc", "你好", "def", "世界", "。"}));
  EXPECT_EQ(split(pre, "ひら漢字かな"), (Pieces{"ひら", "漢字", "かな"}));
}

TEST(Split, PiecesMakeUpTheText) {
  std::mt19937 random(3);
  for (const auto name : PreTokenizer::names()) {
    const auto pre = PreTokenizer::by_name(name);
    for (int i = 0; i < 20; ++i) {
      std::string text;
      for (int n = static_cast<int>(random() % 40); n > 0; --n)
        unicode::append_utf8(text, static_cast<std::uint32_t>(random() % (random() % 3 == 0 ? 0x3000 : 0x80)));
      std::string joined;
      for (const auto& piece : split(pre, text)) {
        ASSERT_FALSE(piece.empty());
        joined += piece;
      }
      ASSERT_EQ(joined, text) << name;
    }
  }
}

// Quadratic splitting would take minutes here.
TEST(Split, LongRunsTakeLinearTime) {
  for (const char* unit : {" ", "\n", " \n", "a", "A", "Aa", "7", "!", "'", "\t ", "x ", "\r", "é", "漢"}) {
    std::string text;
    while (text.size() < 150'000) text += unit;
    for (const char* end : {"", "x"}) {
      const std::clock_t start = std::clock();  // processor time: the machine may be busy
      for (const char* name : {"default", "llama-bpe", "smollm", "gpt-4o", "deepseek-llm", "deepseek-v3", "jais-2",
                               "youtu", "exaone-moe", "chameleon", "viking"}) {
        static std::map<std::string, PreTokenizer> known;
        const auto& pre = known.try_emplace(name, PreTokenizer::by_name(name)).first->second;
        std::size_t n = 0;
        const std::string whole = text + end;
        pre.split(whole, [&](std::string_view piece) { n += piece.size(); });
        ASSERT_EQ(n, whole.size());
      }
      const double took = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      ASSERT_LT(took, 10.0) << testing::PrintToString(unit) << " " << testing::PrintToString(end);
    }
  }
}

TEST(Pattern, WhatIsNotUnderstoodIsAnError) {
  for (const char* bad : {"(?=ab)", "(?<=a)b", "a**b)", "\\p{Greek}", "\\b", ".", "a{", "[b-a]", "(a", "x{2"})
    EXPECT_THROW(parse_pattern(bad), Error) << bad;
}

TEST(Unicode, DecodingKeepsToTheStandard) {
  const auto valid = [](std::string_view s) { return unicode::is_valid(s); };
  EXPECT_TRUE(valid("a\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
  EXPECT_TRUE(valid("\xED\xA0\x80"));  // a surrogate, as the reference takes it
  for (const char* bad : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xE2\x82",
                          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xFF"})
    EXPECT_FALSE(valid(bad)) << testing::PrintToString(bad);
  EXPECT_EQ(unicode::replace_invalid("a\xE2\x82z\xFF"), "a\uFFFD\uFFFDz\uFFFD");
}

}  // namespace
}  // namespace mtmd
