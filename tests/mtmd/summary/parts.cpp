#include "mtmd/summary/parts.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/gguf/gguf.h"

namespace mtmd {
namespace {

const Tokenizer& tokenizer() {
  static const auto file = gguf::File::open(MTMD_TEST_DATA "/text/qwen3.gguf");
  static const auto loaded = Tokenizer::load(file.metadata());
  return *loaded;
}

std::string without_space(std::string_view text) {
  std::string all;
  for (const char c : text)
    if (c != ' ' && c != '\n' && c != '\t') all += c;
  return all;
}

void check(const std::string& text, int most) {
  std::string all;
  const char* end = text.data();
  for (const std::string_view part : parts_of(text, most, tokenizer())) {
    EXPECT_GE(part.data(), end);  // in order, without overlaps
    end = part.data() + part.size();
    EXPECT_FALSE(part.empty());
    if (part.size() > 4) {
      EXPECT_LE(count_tokens(part, tokenizer()), most) << part;
    }
    all += part;
  }
  EXPECT_EQ(without_space(all), without_space(text));
}

TEST(Parts, AreAllOfTheTextAndSmallEnough) {
  std::mt19937 random(3);
  const std::string letters = "abcdefghij     ..\n\n\t!ä€";
  for (int round = 0; round < 60; ++round) {
    std::string text;
    for (auto n = random() % 600; n > 0; --n) text += letters[random() % 20];
    text += round % 3 == 0 ? "ä€😀" : "";
    check(text, 1 + static_cast<int>(random() % 60));
  }
  check("", 5);
  check(" \n\n ", 5);
  check(std::string(3000, 'x'), 16);
}

TEST(Parts, AreCutWhereAReaderWould) {
  const std::string text = "First line.\nSecond line.\nThird line.";
  const int line = count_tokens("Second line.\n", tokenizer());
  const auto parts = parts_of(text, line, tokenizer());
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0], "First line.");
  EXPECT_EQ(parts[2], "Third line.");
  EXPECT_EQ(parts_of(text, 1000, tokenizer()).size(), 1u);
}

}  // namespace
}  // namespace mtmd
