#include "engine/sampling/grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "engine/base/error.h"
#include "engine/sampling/grammar_oracle.h"

namespace mtmd {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string utf8(const std::u32string& text) {
  std::string out;
  for (const char32_t c : text) {
    const auto put = [&](char32_t bits) { out += static_cast<char>(bits); };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0 | c >> 6), put(0x80 | (c & 63));
    } else if (c < 0x10000) {
      put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
    } else {
      put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 63)), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
    }
  }
  return out;
}

bool matches(const Grammar& grammar, std::string_view text) {
  GrammarState state(grammar);
  return state.accept(text) && state.complete();
}

std::string complaint(std::string_view gbnf) {
  try {
    Grammar::parse(gbnf);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
    return e.what();
  }
  return "";
}

struct Case {
  const char* gbnf;
  oracle::Grammar same;
  std::u32string alphabet;
  std::size_t longest;
};

std::vector<Case> cases() {
  using namespace oracle;
  const auto between = [](char32_t a, char32_t b) { return any_of([=](char32_t c) { return c >= a && c <= b; }); };
  return {
      {"root ::= \"a\" root \"b\" | \"\"",
       {{{"root", either({seq({text(U"a"), rule("root"), text(U"b")}), text(U"")})}}},
       U"abc",
       8},
      {"root ::= sum\nsum ::= item (\"+\" item)*\nitem ::= [a-b] | \"(\" sum \")\"",
       {{{"root", rule("sum")},
         {"sum", seq({rule("item"), times(seq({text(U"+"), rule("item")}), 0, 9)})},
         {"item", either({between('a', 'b'), seq({text(U"("), rule("sum"), text(U")")})})}}},
       U"a+()",
       7},
      {"root ::= (\"ab\"? \"a\"){2,3} [^a]*",
       {{{"root", seq({times(seq({times(text(U"ab"), 0, 1), text(U"a")}), 2, 3),
                       times(any_of([](char32_t c) { return c != 'a'; }), 0, 9)})}}},
       U"abx",
       8},
      {"root ::= (x? y*)* \"c\"+\nx ::= \"a\"{0,2}\ny ::= \"b\" |",
       {{{"root", seq({times(either({text(U"a"), text(U"b")}), 0, 9), times(text(U"c"), 1, 9)})}}},
       U"abc",
       7},
      {"root ::= [\\u00e0-\\u20AC]+ . \"\\U0001F600\"?",
       {{{"root", seq({times(between(0xE0, 0x20AC), 1, 9), any_of([](char32_t) { return true; }),
                       times(text(U"\U0001F600"), 0, 1)})}}},
       U"a\u00DF\u00E0\u20AC\u20AD\U0001F600",
       4},
      {"root ::= \"a\" root | \"b\" other\nother ::= \"c\" root? \"d\"",
       {{{"root", either({seq({text(U"a"), rule("root")}), seq({text(U"b"), rule("other")})})},
         {"other", seq({text(U"c"), times(rule("root"), 0, 1), text(U"d")})}}},
       U"abcd",
       7},
  };
}

TEST(Grammar, MatchesWhatPlainRecursionMatches) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.gbnf);
    const Grammar grammar = Grammar::parse(c.gbnf);
    const GrammarState start(grammar);
    std::size_t n_matches = 0, n = 0;
    std::set<std::string> beginnings;  // of matches up to the longest length
    std::vector<std::u32string> texts = {U""};
    for (std::size_t i = 0; i < texts.size(); ++i, ++n) {
      const std::u32string s = texts[i];
      GrammarState state = start;
      const std::string bytes = utf8(s);
      const bool match = oracle::matches(c.same, s);
      ASSERT_EQ(state.accept(bytes) && state.complete(), match) << bytes;
      ASSERT_TRUE(!match || start.allowed(bytes)) << bytes;
      n_matches += match;
      for (std::size_t k = 0; match && k <= bytes.size(); ++k) beginnings.insert(bytes.substr(0, k));
      if (s.size() < c.longest)
        for (const char32_t next : c.alphabet) texts.push_back(s + next);
    }
    for (const std::string& b : beginnings) ASSERT_TRUE(start.allowed(b)) << b;
    EXPECT_GT(n_matches, 1u);
    EXPECT_LT(n_matches, n);
  }
}

TEST(Grammar, PiecesMayCutCharacters) {
  const Grammar grammar = Grammar::parse("root ::= [^\\x00-\\x7F\\u20AC]{2,} \"!\"");
  const std::string text = "\u00e9\u4e2d\U0001F600!";
  for (std::size_t a = 0; a <= text.size(); ++a)
    for (std::size_t b = a; b <= text.size(); ++b) {
      GrammarState state(grammar);
      EXPECT_TRUE(state.accept(text.substr(0, a)) && state.accept(text.substr(a, b - a)) &&
                  state.accept(text.substr(b)));
      EXPECT_TRUE(state.complete());
      EXPECT_FALSE(state.can_continue());
    }
  GrammarState state(grammar);
  EXPECT_TRUE(state.accept("\xE2\x82"));  // may become U+20AD
  EXPECT_FALSE(state.allowed("\xAC"));    // U+20AC
  EXPECT_TRUE(state.allowed("\xAD"));
  EXPECT_FALSE(state.allowed("!"));  // inside of a character
  EXPECT_FALSE(state.complete());
}

TEST(Grammar, NoCharacterIsMoreThanUtf8) {
  const GrammarState start(Grammar::parse("root ::= ."));
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 61)
    EXPECT_EQ(start.allowed(utf8({c})), c < 0xD800 || c > 0xDFFF) << std::hex << static_cast<std::uint32_t>(c);
  EXPECT_TRUE(start.allowed(utf8({0xD7FF})) && start.allowed(utf8({0xE000})) && start.allowed(utf8({0x10FFFF})));
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1", "\xE0\x80", "\xED\xA0\x80", "\xF0\x80", "\xF4\x90", "\xF5", "\xFF"})
    EXPECT_FALSE(start.allowed(bad));
}

/// Random classes against a plain look into the ranges.
TEST(Grammar, ClassesOfCharacters) {
  std::mt19937 random(7);
  const std::u32string edges =
      U"\u0001 az\u007f\u0080\u07ff\u0800\u1234\u4e2d\ud7ff\ue000\uffff\U00010000\U0001F600\U0010FFFE";
  for (int round = 0; round < 200; ++round) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
    const bool negated = random() % 2;
    std::string gbnf = negated ? "root ::= [^" : "root ::= [";
    for (int i = 0; i < 1 + static_cast<int>(random() % 4); ++i) {
      std::uint32_t a = edges[random() % edges.size()] + static_cast<std::uint32_t>(random() % 3);
      std::uint32_t b = edges[random() % edges.size()];
      if (a > b) std::swap(a, b);
      b = std::min(b, 0x10FFFFu);
      ranges.emplace_back(a, b);
      char text[40];
      std::snprintf(text, sizeof text, "\\U%08X-\\U%08X", a, b);
      gbnf += text;
    }
    Grammar const grammar = Grammar::parse(gbnf + "] | \"end\"");
    const GrammarState start(grammar);
    for (const char32_t edge : edges)
      for (char32_t c = edge - 1; c <= edge + 1; ++c) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        bool in = false;
        for (const auto& [a, b] : ranges) in = in || (c >= a && c <= b);
        GrammarState state = start;
        EXPECT_EQ(state.accept(utf8({c})) && state.complete(), in != negated) << gbnf << " " << std::uint32_t{c};
      }
  }
}

TEST(Grammar, NotationOfTheDocumentation) {
  const Grammar g = Grammar::parse(
      "# a list\nroot ::=\n  item (   # first\n    \",\" item |\n    \";\" item   # or\n  )* |\n  \"none\"\n\n"
      "item ::= [a-z\\]\\-] [0-9]{2} \"\\\"\\\\\\x41\\u00e9\"? |\r\n  \"q\"{0,1} \"!\"");
  for (const char* good : {"a12", "a12,b34;]00", "-99", "none", "a12\"\\A\u00e9", "!", "q!,a12"})
    EXPECT_TRUE(matches(g, good)) << good;
  for (const char* bad : {"", "a1", "a123", "a12,", "nonea12", "a12\"", "qq!"}) EXPECT_FALSE(matches(g, bad)) << bad;
  EXPECT_TRUE(matches(Grammar::parse("root ::= \"a\"\n  | \"b\"\nother-1_x ::= root"), "b"));
  EXPECT_TRUE(matches(Grammar::parse("root ::= [a-] [-a] [^\\^]"), "--a"));
  EXPECT_TRUE(matches(Grammar::parse("root ::= \"a\"{2,}"), "aaaaa"));
  EXPECT_FALSE(matches(Grammar::parse("root ::= \"a\"{2,}"), "a"));
  EXPECT_TRUE(matches(Grammar::parse("root ::= "), ""));
}

TEST(Grammar, StateGoesBackToNothingOnRefusal) {
  GrammarState state(Grammar::parse("root ::= \"abc\" \"d\"*"));
  EXPECT_FALSE(state.accept("abx"));
  EXPECT_TRUE(state.accept("ab"));
  const GrammarState copy = state;
  EXPECT_TRUE(state.accept("cdd"));
  EXPECT_TRUE(state.complete());
  EXPECT_TRUE(state.can_continue());
  EXPECT_FALSE(copy.complete());
  EXPECT_TRUE(copy.allowed("c"));
  EXPECT_TRUE(state.accept(""));
}

TEST(Grammar, ComplaintsSayWhereAndWhat) {
  EXPECT_THAT(complaint(""), HasSubstr("no rule named root"));
  EXPECT_THAT(complaint("a ::= \"x\""), HasSubstr("no rule named root"));
  EXPECT_THAT(complaint("a ::= root"), HasSubstr("no rule named root"));
  EXPECT_THAT(complaint("root ::= \"a\" |\n  missing"),
              AllOf(HasSubstr("line 2, column 3"), HasSubstr("missing"), HasSubstr("defined nowhere")));
  EXPECT_THAT(complaint("root := \"a\""), AllOf(HasSubstr("line 1, column 6"), HasSubstr("::=")));
  EXPECT_THAT(complaint("root ::= \"a\nx"), AllOf(HasSubstr("column 10"), HasSubstr("closing \"")));
  EXPECT_THAT(complaint("root ::= [a"), HasSubstr("closing ]"));
  EXPECT_THAT(complaint("root ::= []"), HasSubstr("matches no character"));
  EXPECT_THAT(complaint("root ::= [z-a]"), HasSubstr("backwards"));
  EXPECT_THAT(complaint("root ::= (\"a\""), HasSubstr(") for the group, found the end of the grammar"));
  EXPECT_THAT(complaint("root ::= \"a\")"), HasSubstr("found )"));
  EXPECT_THAT(complaint("root ::= *"), HasSubstr("found *"));
  EXPECT_THAT(complaint("root ::= \"\\q\""), HasSubstr("unknown escape"));
  EXPECT_THAT(complaint("root ::= \"\\x4\""), HasSubstr("2 hexadecimal digits"));
  EXPECT_THAT(complaint("root ::= \"\\U00110000\""), HasSubstr("above the last character"));
  EXPECT_THAT(complaint("root ::= \"\\uD800\""), HasSubstr("surrogate"));
  EXPECT_THAT(complaint("root ::= \"\xC3\""), HasSubstr("not UTF-8"));
  EXPECT_THAT(complaint("root ::= \"\u00e9\u00e9\" \"\\q\""), HasSubstr("column 16"));
  EXPECT_THAT(complaint("root ::= \"a\"{3,2}"), HasSubstr("wrong way round"));
  EXPECT_THAT(complaint("root ::= \"a\"{3"), HasSubstr("expected }"));
  EXPECT_THAT(complaint("root ::= \"a\"{,3}"), HasSubstr("repetition count"));
  EXPECT_THAT(complaint("root ::= \"a\"\nroot ::= \"b\""),
              AllOf(HasSubstr("line 2"), HasSubstr("already defined in line 1")));
  EXPECT_THAT(complaint("root ::= <think>"), HasSubstr("found <"));
  EXPECT_THAT(complaint("root ::= \"\\"), HasSubstr("escape"));
}

TEST(Grammar, LeftRecursionIsNamed) {
  EXPECT_THAT(complaint("root ::= root \"a\" | \"b\""), AllOf(HasSubstr("left recursion"), HasSubstr("root -> root")));
  EXPECT_THAT(complaint("root ::= a\na ::= \"x\"? b\nb ::= (c) \"z\"\nc ::= d{0,3} a\nd ::= \"d\""),
              HasSubstr("a -> b -> c -> a"));
  EXPECT_THAT(complaint("root ::= root | \"b\""), HasSubstr("left recursion"));
  EXPECT_THAT(complaint("root ::= (\"a\" | root{2,5}) \"c\""), HasSubstr("root -> root"));
  EXPECT_EQ(complaint("root ::= \"a\" root | \"b\""), "");
  EXPECT_EQ(complaint("root ::= ((\"a\"?)*)* \"b\""), "");
}

TEST(Grammar, LimitsAreNamed) {
  EXPECT_THAT(complaint("root ::= \"a\"{4097}"), HasSubstr("4096"));
  EXPECT_THAT(complaint("root ::= \"a\"{99999999999999999999}"), HasSubstr("4096"));
  EXPECT_THAT(complaint("root ::= " + std::string(101, '(')), HasSubstr("deeper than 100"));
  EXPECT_EQ(complaint("root ::= " + std::string(100, '(') + "\"a\"" + std::string(100, ')')), "");
  EXPECT_THAT(complaint("root ::= \"a\"" + std::string(17, '*')), HasSubstr("16 repetition marks"));
  EXPECT_THAT(complaint(std::string((1 << 20) + 1, ' ')), HasSubstr("1048576"));
  std::string large = "root ::= [\\u0080-\\U0010FFFF]{4096}";
  for (int i = 0; i < 20; ++i) large += " [\\u0080-\\U0010FFFF]{4096}";
  EXPECT_THAT(complaint(large), HasSubstr("500000 steps"));
}

TEST(Grammar, AmbiguityEndsInAnErrorAndNotInAHang) {
  for (const char* hostile :
       {"root ::= (((\"a\"?){4000}){4000}){4000}", "root ::= s\ns ::= \"a\" | \"a\" s s s \"b\"? | \"a\" s s",
        "root ::= (\"a\"* \"a\"* [ab]*)* ((\"a\" | \"b\")* \"a\"){4096}"}) {
    SCOPED_TRACE(hostile);
    try {
      GrammarState state(Grammar::parse(hostile));
      for (int i = 0; i < 20000; ++i) ASSERT_TRUE(state.accept("a"));
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::resource);
      EXPECT_THAT(e.what(), HasSubstr("ambiguous"));
    }
  }
}

TEST(Grammar, DeepNestingStopsAtTheLimitAndLongTextsDoNot) {
  GrammarState nested(Grammar::parse("root ::= \"(\" root \")\" | \"x\""));
  int depth = 0;
  while (nested.accept("(")) ++depth;
  EXPECT_EQ(depth, Grammar::kMaxDepth);
  EXPECT_TRUE(nested.accept("x" + std::string(static_cast<std::size_t>(depth), ')')));
  EXPECT_TRUE(nested.complete());

  GrammarState flat(Grammar::parse("root ::= \"a\" root | \"b\" root | \"(\" root \")\" root | \"\""));
  std::mt19937 random(3);
  for (int i = 0, open = 0; i < 300000; ++i) {  // renews its automaton on the way
    const unsigned kind = random() % 4;
    const bool fits = kind < 2 || (kind == 2 ? open < 900 : open > 0);
    if (kind == 2 && !fits) continue;
    ASSERT_EQ(flat.accept(std::string(1, "ab()"[kind])), fits);
    if (fits && kind >= 2) open += kind == 2 ? 1 : -1;
  }
}

}  // namespace
}  // namespace mtmd
