// mtmd summarize around models of random weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mtmd/hear/speech.h"
#include "tools/process.h"

namespace mtmd::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

const std::string kModel = MTMD_TEST_DATA "/text/qwen3.gguf";
const std::string kHears = MTMD_CONFORMANCE "/media/voxtral";
const std::string kReceipt = MTMD_TEST_DATA "/receipt.png";

Outcome summarize(const std::vector<std::string>& more, const RunOptions& options = {}) {
  std::vector<std::string> all = {"summarize", "-m", kModel, "-n", "6", "-c", "512"};
  all.insert(all.end(), more.begin(), more.end());
  return run(all, options);
}

TEST(Summarize, TextsLongAndShort) {
  TemporaryFolder folder;
  write_file(folder / "short.txt", "\xef\xbb\xbfOne line.\n");
  std::string text;
  for (int i = 0; i < 120; ++i) text += "Point " + std::to_string(i) + " was agreed.\n";
  write_file(folder / "long", text);
  const Outcome r = summarize({"-f", "jsonl", (folder / "short.txt").string(), (folder / "long").string()});
  ASSERT_EQ(r.status, 0) << r.err;
  const Json first = Json::parse(r.out.substr(0, r.out.find('\n'))),
             second = Json::parse(r.out.substr(r.out.find('\n')));
  EXPECT_EQ(first["summary_of"]["parts"], 0);
  EXPECT_EQ(first["summary_of"]["characters"], 10);
  EXPECT_GT(second["summary_of"]["parts"], 1);
  const Outcome styled = summarize({"--style", "minutes", (folder / "short.txt").string()});
  EXPECT_EQ(styled.status, 0);
  EXPECT_EQ(summarize({"--style", "poem", (folder / "short.txt").string()}).status, 2);
  EXPECT_EQ(summarize({"-"}, {.input = "One line.\n"}).out, summarize({(folder / "short.txt").string()}).out);
}

TEST(Summarize, ResumesBetweenItems) {
  TemporaryFolder folder;
  write_file(folder / "a.txt", "One.");
  write_file(folder / "b.txt", "Two.");
  const std::vector<std::string> all = {(folder / "a.txt").string(), (folder / "b.txt").string(), "--out-dir",
                                        (folder / "out").string(), "--resume"};
  ASSERT_EQ(summarize(all).status, 0);
  EXPECT_TRUE(fs::exists(folder / "out/b.txt"));
  EXPECT_THAT(summarize(all).err, HasSubstr("2 of 2 were done already"));
}

TEST(Summarize, TogetherIsOneSummary) {
  TemporaryFolder folder;
  write_file(folder / "a.txt", "One.");
  write_file(folder / "b.txt", "Two.");
  const Outcome r = summarize({"--together", "-f", "json", (folder / "a.txt").string(), (folder / "b.txt").string(),
                               "--keep-transcript", (folder / "kept.txt").string()});
  ASSERT_EQ(r.status, 0) << r.err;
  const Json all = Json::parse(r.out);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0]["inputs"].size(), 2u);
  const std::string kept = read_file(folder / "kept.txt");
  EXPECT_THAT(kept, ::testing::AllOf(HasSubstr("One."), HasSubstr("Two."), HasSubstr("b.txt:")));
}

TEST(Summarize, WhatItCannotRead) {
  TemporaryFolder folder;
  write_file(folder / "binary", std::string("\x01\x00\x02", 3));
  write_file(folder / "latin1.txt", "caf\xe9");
  write_file(folder / "utf16.txt", std::string("\xff\xfe"
                                               "a\0",
                                               4));
  write_file(folder / "paper.pdf", "%PDF-1.7");
  write_file(folder / "empty.txt", " \n");
  for (const char* name : {"binary", "latin1.txt", "utf16.txt", "paper.pdf", "empty.txt", "missing"})
    EXPECT_EQ(summarize({(folder / name).string()}).status, 4) << name;
  EXPECT_THAT(summarize({(folder / "paper.pdf").string()}).err, HasSubstr("pdftotext"));
  EXPECT_EQ(summarize({kReceipt}).status, 2);  // this model does not see
}

TEST(Summarize, NeedsARealModel) {
  const Outcome none = run({"summarize", kReceipt});
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.err, HasSubstr("-m FILE"));
  EXPECT_EQ(run({"summarize", "-m", MTMD_MODELS "/line-reader.gguf", kReceipt}).status, 2);
}

TEST(Summarize, RecordingsAndTextsInOneBatch) {
  if (!fs::exists(kHears)) GTEST_SKIP() << kHears << " of the conformance kit is not there";
  TemporaryFolder folder;
  std::vector<float> sound;
  speak(sound, 2);
  write_file(folder / "talk", wav(sound));
  write_file(folder / "a.txt", "One.");
  const auto on = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {
        "summarize", "-m", kHears + "/model.gguf", "--mmproj", kHears + "/mmproj.gguf", "-n", "4", "--no-retry"};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  };
  const Outcome r = on({"-f", "jsonl", (folder / "talk").string(), (folder / "a.txt").string(), "--keep-transcript",
                        folder.path().string(), "--force"});
  const Json first = Json::parse(r.out.substr(0, r.out.find('\n')));
  EXPECT_EQ(first["media"][0]["kind"], "audio") << r.err;
  EXPECT_EQ(first["media"][0]["covered_seconds"], 2);
  EXPECT_NE(read_file(folder / "talk.txt"), "");
}

}  // namespace
}  // namespace mtmd::test
