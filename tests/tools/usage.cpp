// Flags, help, messages and exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/process.h"

namespace mtmd::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Usage, NothingToDoIsAUsageError) {
  const Outcome r = run({});
  EXPECT_EQ(r.status, 2);
  EXPECT_EQ(r.out, "");
}

TEST(Usage, VersionAndHelpGoToStdout) {
  EXPECT_THAT(run({"--version"}).out, StartsWith("mtmd "));
  const Outcome help = run({"ocr", "--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.out, HasSubstr("Examples:"));
  EXPECT_THAT(help.out, HasSubstr("--mmproj"));
  EXPECT_LT(help.out.find("Examples:"), help.out.find("Usage:"));
}

TEST(Usage, UnknownFlagsAndVerbsAreNamed) {
  const Outcome flag = run({"ocr", "--nonsense", "x.png"});
  EXPECT_EQ(flag.status, 2);
  EXPECT_THAT(flag.err, HasSubstr("--nonsense"));
  EXPECT_EQ(run({"frobnicate"}).status, 2);
}

TEST(Usage, FlagsThatCannotBeHonouredAreErrors) {
  EXPECT_EQ(run({"ocr", "-ngl", "99", "x.png"}).status, 2);
  EXPECT_EQ(run({"ocr", "-ctk", "q4_0", "x.png"}).status, 2);
  EXPECT_EQ(run({"ocr", "-f", "txt,json", "x.png"}).status, 2);
  EXPECT_EQ(run({"ocr", "--resume", "x.png"}).status, 2);
  EXPECT_EQ(run({"run", "-p", "hello"}).status, 2);                          // no model
  EXPECT_EQ(run({"run", "-m", MTMD_MODELS "/line-reader.gguf"}).status, 2);  // no prompt
  EXPECT_EQ(run({"ocr", "--image-min-tokens", "9", "--image-max-tokens", "4", "x.png"}).status, 2);
  EXPECT_EQ(run({"ocr"}).status, 2);
  EXPECT_EQ(run({"describe", "x.png"}).status, 2);
}

TEST(Usage, MissingFilesAreInputErrors) {
  const Outcome r = run({"ocr", "/nonexistent/picture.png"});
  EXPECT_EQ(r.status, 4);
  EXPECT_EQ(r.out, "");
  EXPECT_THAT(r.err, HasSubstr("/nonexistent/picture.png"));
  EXPECT_EQ(run({"ocr", "-m", "/nonexistent/model.gguf", MTMD_TEST_DATA "/line.ppm"}).status, 4);
  EXPECT_EQ(run({"ocr", "/tmp"}).status, 4);
}

TEST(Usage, ModelsGivenWrongWayRoundAreRefused) {
  const Outcome swapped = run({"ocr", "-m", MTMD_MODELS "/mmproj-line-reader.gguf", MTMD_TEST_DATA "/line.ppm"});
  EXPECT_EQ(swapped.status, 5);
  EXPECT_THAT(swapped.err, HasSubstr("--mmproj"));
  const Outcome text = run({"ocr", "--mmproj", MTMD_MODELS "/line-reader.gguf", MTMD_TEST_DATA "/line.ppm"});
  EXPECT_EQ(text.status, 5);
  EXPECT_EQ(run({"ocr", "--no-mmproj", MTMD_TEST_DATA "/line.ppm"}).status, 2);
}

TEST(Usage, AContextTooSmallSaysWhatWouldDo) {
  const Outcome r = run({"ocr", "-c", "8", MTMD_TEST_DATA "/line.ppm"});
  EXPECT_EQ(r.status, 6);
  EXPECT_THAT(r.err, HasSubstr("-c "));
}

}  // namespace
}  // namespace mtmd::test
