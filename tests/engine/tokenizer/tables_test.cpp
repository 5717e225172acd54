// What a vocabulary's tables say, against plain look-ups, on vocabularies that no file has.
#include <gtest/gtest.h>
#include <utf8proc.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>

#include "engine/tokenizer/merge_naively.h"
#include "engine/tokenizer/text_index.h"
#include "engine/tokenizer/unicode.h"
#include "engine/tokenizer/vocabularies.h"

namespace mtmd::testing {
namespace {

using Texts = std::vector<std::string>;

TEST(TextIndex, FindsTheLastOfEqualTexts) {
  std::mt19937 random(1);
  for (const std::size_t n : {0, 1, 2, 11, 12, 13, 500, 5000}) {
    Texts kept(n);
    for (std::string& text : kept)  // every length around the words that are hashed at once; many equal ones
      for (std::size_t length = random() % 20; length > 0; --length) text += static_cast<char>('a' + random() % 2);
    const std::vector<std::string_view> texts(kept.begin(), kept.end());
    const TextIndex index{std::span(texts)};
    std::map<std::string_view, std::int32_t> wanted;
    for (std::size_t i = 0; i < n; ++i) wanted[texts[i]] = static_cast<std::int32_t>(i);
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_EQ(index.find(texts[i]), wanted[texts[i]]);
      for (const std::size_t guess : {i, i + 1, n, std::numeric_limits<std::size_t>::max()})
        ASSERT_EQ(index.find(texts[i], guess), wanted[texts[i]]) << texts[i] << " of " << n << ", guess " << guess;
    }
    for (const char* absent : {"c", "abc", "abcabcabcabc"}) ASSERT_EQ(index.find(absent), -1);
  }
  EXPECT_EQ(TextIndex().find("a"), -1);
}

TEST(Unicode, CategoriesAreUtf8procs) {
  std::vector<int> category(unicode::kMax + 1, -1);
  const char* names[] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
                         "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};
  for (int i = 0; i < static_cast<int>(std::size(names)); ++i) {
    const unicode::Set set = unicode::category(names[i]);
    for (const auto range : set.ranges()) {
      for (std::uint32_t c = range.first; c <= range.last; ++c) {
        ASSERT_EQ(category[c], -1) << c << " is in two categories";
        category[c] = i;
      }
    }
  }
  for (std::uint32_t c = 0; c <= unicode::kMax; ++c)
    ASSERT_EQ(category[c], static_cast<int>(utf8proc_category(static_cast<utf8proc_int32_t>(c)))) << c;
}

/// Letters, texts that merging makes of them, and others, in any order; some twice, some left out.
struct Made {
  Texts tokens, merges;
};

Made make_vocabulary(std::mt19937& random) {
  Texts texts = {"a", "b", "c", "d", "e"};
  Made made;
  for (int i = 0; i < 60; ++i) {
    const std::string left = texts[random() % texts.size()], right = texts[random() % texts.size()];
    if (left.size() + right.size() > 9) continue;
    made.merges.push_back(left + " " + right);
    if (random() % 8 != 0) texts.push_back(left + right);  // else it may take part in later merges only by chance
  }
  for (const std::string& text : texts)
    for (std::size_t copies = random() % 8; copies < 8; copies += 4) made.tokens.push_back(text);
  if (random() % 2 == 0) std::shuffle(made.tokens.begin(), made.tokens.end(), random);
  if (made.tokens.empty()) made.tokens.emplace_back("a");
  return made;
}

std::string word_of(std::string_view letters, std::mt19937& random) {
  std::string word;
  for (std::size_t n = 1 + random() % 60; n > 0; --n) word += letters[random() % letters.size()];
  return word;
}

Texts letters_of(const std::string& word) {
  Texts letters;
  for (const char c : word) letters.emplace_back(1, c);
  return letters;
}

TEST(Encode, MergesOfOddVocabularies) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const Made made = make_vocabulary(random);
    const auto tokenizer = load_made([&](gguf::Writer& w) {
      w.set("tokenizer.ggml.model", "gpt2");
      w.set("tokenizer.ggml.pre", "gpt-2");
      w.set("tokenizer.ggml.tokens", std::span<const std::string>(made.tokens));
      w.set("tokenizer.ggml.merges", std::span<const std::string>(made.merges));
    });
    std::map<std::string, Token> numbers;  // the last of equal texts
    for (std::size_t i = 0; i < made.tokens.size(); ++i) numbers[made.tokens[i]] = static_cast<Token>(i);
    std::map<std::string, int> ranks;  // the first of equal merges
    for (std::size_t i = 0; i < made.merges.size(); ++i) ranks.emplace(made.merges[i], static_cast<int>(i));
    for (int i = 0; i < 20; ++i) {
      const std::string word = word_of("abcde", random);
      std::vector<Token> wanted;
      for (const std::string& part : merge_naively(letters_of(word), [&](const std::string&a, const std::string&b) {
             const auto r = ranks.find(a + " " + b);
             return r == ranks.end() ? 1e300 : r->second;
           })) {
        const auto push = [&](const std::string& text) {
          const auto number = numbers.find(text);
          if (number != numbers.end()) wanted.push_back(number->second);
          return number != numbers.end();
        };
        if (push(part)) continue;
        for (const char c : part) push(std::string(1, c));  // no entry: byte by byte, where those are entries
      }
      ASSERT_EQ(tokenizer->encode(word), wanted) << word << " in round " << round;
    }
  }
}

TEST(Encode, ScoresOfAnySize) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  const Texts tokens = {"<unk>", "a", "b", "c", "ab", "bc", "ca", "abc", "cab", "bca", "aa", "bb", "cc"};
  const float values[] = {-inf, -1e30f, -2.5f, -1e-40f, -0.0f, 0.0f, 1e-40f, 3.0f, 1e30f, inf};
  std::mt19937 random(8);
  for (int round = 0; round < 300; ++round) {
    std::vector<float> scores;
    for (std::size_t i = 0; i < tokens.size(); ++i) scores.push_back(values[random() % std::size(values)]);
    const auto tokenizer = load_made([&](gguf::Writer& w) {
      w.set("tokenizer.ggml.model", "llama");
      w.set("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
      w.set("tokenizer.ggml.scores", std::span<const float>(scores));
      w.set("tokenizer.ggml.add_space_prefix", false);
    });
    for (int i = 0; i < 20; ++i) {
      const std::string word = word_of("abc", random);
      std::vector<Token> wanted;
      for (const std::string& part : merge_naively(letters_of(word), [&](const std::string&a, const std::string&b) {
             const Token joined = tokenizer->find(a + b);
             if (joined < 0) return 1e300;
             return std::clamp(-double{scores[static_cast<std::size_t>(joined)]}, -1e299, 1e299);
           }))
        wanted.push_back(tokenizer->find(part));
      ASSERT_EQ(tokenizer->encode(word), wanted) << word << " in round " << round;
    }
  }
}

}  // namespace
}  // namespace mtmd::testing
