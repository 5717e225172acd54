// Two windows heard some words twice: the texts put together must be what was said.
#include "mtmd/hear/seam.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace mtmd {
namespace {

std::string together(std::string_view a, std::string_view b, double overlap) {
  const Seam seam = find_seam(a, b, overlap);
  EXPECT_LE(seam.keep, a.size());
  EXPECT_LE(seam.skip, b.size());
  return std::string(a.substr(0, seam.keep)) + "|" + std::string(b.substr(seam.skip));
}

TEST(Seam, WordsThatBothHeard) {
  EXPECT_EQ(together("we met in the garden at noon", "in the garden at noon and talked", 2),
            "we met in the garden| at noon and talked");
  // Half a word at the end of the first, half a word at the beginning of the second.
  EXPECT_EQ(together("the committee decided to postp", "mittee decided to postpone it", 1.5),
            "the committee decided| to postpone it");
  // Case and punctuation do not count; a small misspelling does not either.
  EXPECT_EQ(together("He said: Hello, world.", "said hello world! And left", 1.5), "He said: Hello,| world! And left");
  EXPECT_EQ(together("the recieved letter was", "received letter was lost", 1), "the recieved letter| was lost");
  EXPECT_EQ(together("says yes", "yes indeed", 0.5), "says|yes indeed");
  EXPECT_EQ(together("same words", "same words", 1), "same| words");
}

TEST(Seam, NothingInCommonLosesNothing) {
  EXPECT_EQ(together("alpha beta", "gamma delta", 2), "alpha beta|gamma delta");
  EXPECT_EQ(together("", "gamma", 2), "|gamma");
  EXPECT_EQ(together("alpha", "", 2), "alpha|");
  EXPECT_EQ(together("", "", 2), "|");
  EXPECT_EQ(together("a b c", "a b c", 0), "a b c|a b c");  // no overlap, no seam
  EXPECT_EQ(together("the cat and the", "dog saw the bird", 1), "the cat and the|dog saw the bird");  // a coincidence
  EXPECT_EQ(together("...", "?!", 1), "...|?!");
  EXPECT_EQ(together("\xff\xfe", "\xff", 1), "\xff\xfe|\xff");
}

TEST(Seam, ScriptsWithoutSpaces) {
  EXPECT_EQ(together("今天天气很好我们", "很好我们去公园", 1), "今天天气很好|我们去公园");
  EXPECT_EQ(together("Привет, как дела", "КАК ДЕЛА сегодня", 1), "Привет, как| ДЕЛА сегодня");
}

TEST(Seam, AnyCutOfAnyTextIsMended) {
  std::mt19937 random(7);
  std::vector<std::string> vocabulary;
  for (int i = 0; i < 600; ++i) {
    std::string word;
    for (auto n = 2 + random() % 7; n > 0; --n) word += static_cast<char>('a' + random() % 26);
    vocabulary.push_back(word);
  }
  int wrong = 0;
  for (int round = 0; round < 400; ++round) {
    std::vector<std::string> words;
    for (int i = 0; i < 40; ++i) words.push_back(vocabulary[random() % vocabulary.size()]);
    const std::size_t shared = 2 + random() % 8, first_end = 15 + random() % 15, second_begin = first_end - shared;
    std::string a, b, want;
    for (std::size_t i = 0; i < first_end; ++i) a += (i > 0 ? " " : "") + words[i];
    for (std::size_t i = second_begin; i < words.size(); ++i) {
      std::string word = words[i];
      if (i == second_begin) word[0] = static_cast<char>(std::toupper(word[0]));
      if (i % 5 == 0) word += ",";
      b += (i > second_begin ? " " : "") + word;
    }
    const Seam seam = find_seam(a, b, static_cast<double>(shared) / 3);
    std::string got = a.substr(0, seam.keep) + " " + b.substr(seam.skip), plain;
    for (const char c : got)
      if (c == ' ' ? !plain.empty() && plain.back() != ' ' : c != ',') plain += static_cast<char>(std::tolower(c));
    for (const auto& word : words) want += (want.empty() ? "" : " ") + word;
    wrong += plain != want;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Seam, ALongRepetitionIsBoundedByTheSoundThatWasShared) {
  std::string a, b;
  for (int i = 0; i < 400; ++i) a += "no ", b += "no ";
  const Seam seam = find_seam(a, b, 1);
  EXPECT_GE(seam.keep, a.size() - 11 * 3);  // 8 words a second and two more
  EXPECT_LE(seam.skip, 11u * 3);
}

}  // namespace
}  // namespace mtmd
