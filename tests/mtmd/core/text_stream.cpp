#include "mtmd/text_stream.h"

#include <gtest/gtest.h>

#include <random>

namespace mtmd {
namespace {

TEST(TextStream, ShowsOnlyWholeCharacters) {
  const std::string text = "aé€𝄞z";
  std::string shown;
  TextStream stream({}, [&](std::string_view piece) {
    EXPECT_EQ(incomplete_utf8_tail(piece), 0u);
    shown += piece;
  });
  for (const char c : text) EXPECT_FALSE(stream.push(std::string(1, c)));
  stream.finish();
  EXPECT_EQ(shown, text);
  EXPECT_EQ(stream.text(), text);
}

TEST(TextStream, KeepsBytesThatNeverBecomeACharacter) {
  std::string shown;
  TextStream stream({}, [&](std::string_view piece) { shown += piece; });
  stream.push("a\xE2\x82");
  EXPECT_EQ(shown, "a");
  stream.finish();
  EXPECT_EQ(shown, "a\xE2\x82");
}

/// Whatever way the text is cut into pieces, what is shown is the text up to the first stop.
TEST(TextStream, StopsAtAStopTextHoweverItIsCut) {
  const std::string text = "one STO two <|end|> three STOP four";
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    std::string shown;
    TextStream stream({"STOP", "<|end|>"}, [&](std::string_view piece) { shown += piece; });
    bool stopped = false;
    for (std::size_t at = 0; at < text.size() && !stopped;) {
      const std::size_t n = 1 + random() % 6;
      stopped = stream.push(text.substr(at, n));
      at += n;
    }
    stream.finish();
    EXPECT_TRUE(stopped);
    EXPECT_EQ(stream.text(), "one STO two ");
    EXPECT_EQ(shown, "one STO two ");
  }
}

TEST(TextStream, ReleasesABeginningOfAStopTextThatDoesNotGoOn) {
  std::string shown;
  TextStream stream({"abc"}, [&](std::string_view piece) { shown += piece; });
  stream.push("xab");
  EXPECT_EQ(shown, "x");
  stream.push("d");
  EXPECT_EQ(shown, "xabd");
}

}  // namespace
}  // namespace mtmd
