// Many items: bad ones, interruptions, resumption, full disks, closed pipes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "tools/process.h"

namespace mtmd::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
const std::string kLine = MTMD_TEST_DATA "/line.ppm";
const std::string kReceipt = MTMD_TEST_DATA "/receipt.png";

TEST(Batch, OneBadItemNeverStopsTheRest) {
  TemporaryFolder folder;
  write_file(folder / "bad.png", "this is no picture");
  const Outcome r = run({"ocr", "-f", "jsonl", kLine, (folder / "bad.png").string(), kLine});
  EXPECT_EQ(r.status, 3);
  std::istringstream lines(r.out);
  std::vector<std::string> status;
  for (std::string line; std::getline(lines, line);) status.push_back(nlohmann::json::parse(line)["status"]);
  EXPECT_THAT(status, ::testing::ElementsAre("ok", "failed", "ok"));
  EXPECT_THAT(r.err, HasSubstr("bad.png"));
}

TEST(Batch, OneResultFilePerInputAndFormat) {
  TemporaryFolder folder;
  const std::string out = (folder / "out").string();
  ASSERT_EQ(run({"ocr", "--out-dir", out, "-f", "txt,json", kLine, kReceipt}).status, 0);
  EXPECT_EQ(read_file(folder / "out/line.txt"), "Total 42.50 EUR\n");
  EXPECT_EQ(nlohmann::json::parse(read_file(folder / "out/line.json"))["text"], "Total 42.50 EUR");
  EXPECT_TRUE(fs::exists(folder / "out/receipt.txt"));
}

TEST(Batch, ExistingResultsAreKept) {
  TemporaryFolder folder;
  const std::string out = folder.path().string();
  write_file(folder / "line.txt", "mine");
  const Outcome kept = run({"ocr", "--out-dir", out, kLine});
  EXPECT_NE(kept.status, 0);
  EXPECT_EQ(read_file(folder / "line.txt"), "mine");
  EXPECT_EQ(run({"ocr", "--out-dir", out, "--skip-existing", kLine}).status, 0);
  EXPECT_EQ(read_file(folder / "line.txt"), "mine");
  EXPECT_EQ(run({"ocr", "--out-dir", out, "--force", kLine}).status, 0);
  EXPECT_EQ(read_file(folder / "line.txt"), "Total 42.50 EUR\n");

  write_file(folder / "one", "mine");
  EXPECT_EQ(run({"ocr", "-o", (folder / "one").string(), kLine}).status, 8);
  EXPECT_EQ(run({"ocr", "-o", (folder / "one").string(), "--force", kLine}).status, 0);
  EXPECT_EQ(read_file(folder / "one"), "Total 42.50 EUR\n");
  EXPECT_FALSE(fs::exists(folder / "one.journal"));
}

TEST(Batch, AKilledRunGoesOnAndGivesTheSameFile) {
  TemporaryFolder folder;
  std::vector<std::string> inputs;
  for (int i = 0; i < 6; ++i) {
    inputs.push_back((folder / ("page" + std::to_string(i) + ".png")).string());
    write_file(inputs.back(),
               read_file(kReceipt) + std::string(static_cast<std::size_t>(i), ' '));  // six different contents
  }
  const auto arguments = [&](const std::string& file, std::vector<std::string> more) {
    std::vector<std::string> all = {"ocr", "-f", "txt", "-o", (folder / file).string()};
    all.insert(all.end(), more.begin(), more.end());
    all.insert(all.end(), inputs.begin(), inputs.end());
    return all;
  };
  ASSERT_EQ(run(arguments("whole", {})).status, 0);
  const Outcome killed = run(arguments("cut", {}),
                             {.kill_after_ms = 200, .signal = SIGKILL, .wait_for = (folder / "cut.journal").string()});
  EXPECT_EQ(killed.status, 128 + SIGKILL);
  EXPECT_FALSE(fs::exists(folder / "cut"));  // never half a result
  const Outcome resumed = run(arguments("cut", {"--resume"}));
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(read_file(folder / "cut"), read_file(folder / "whole"));
}

TEST(Batch, ResumeRepeatsNothingAndNoticesOtherSettings) {
  TemporaryFolder folder;
  const std::string out = folder.path().string();
  ASSERT_EQ(run({"ocr", "--out-dir", out, kLine}).status, 0);
  const Outcome again = run({"ocr", "--out-dir", out, "--resume", kLine});
  EXPECT_EQ(again.status, 0);
  EXPECT_THAT(again.err, HasSubstr("1 of 1 were done already"));
  const Outcome other = run({"ocr", "--out-dir", out, "--resume", "--keep-thinking", kLine});
  EXPECT_THAT(other.err, ::testing::Not(HasSubstr("done already")));
}

TEST(Batch, RetryFailedDoesOnlyWhatFailed) {
  TemporaryFolder folder;
  const std::string out = (folder / "out").string(), bad = (folder / "bad.ppm").string(),
                    other = (folder / "other.ppm").string();
  write_file(bad, "this is no picture");
  write_file(other, read_file(kLine) + " ");
  ASSERT_EQ(run({"ocr", "--out-dir", out, kLine, bad}).status, 3);
  write_file(bad, read_file(kLine) + "  ");
  const Outcome r = run({"ocr", "--out-dir", out, "--retry-failed", kLine, bad, other});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(read_file(folder / "out/bad.txt"), "Total 42.50 EUR\n");
  EXPECT_FALSE(fs::exists(folder / "out/other.txt"));  // it was never tried, so it did not fail
}

TEST(Batch, CtrlCFinishesTheWriteAndKeepsTheJournal) {
  TemporaryFolder folder;
  std::vector<std::string> arguments = {"ocr", "-o", (folder / "out").string()};
  for (int i = 0; i < 40; ++i) arguments.push_back(kReceipt);
  const Outcome r =
      run(arguments, {.kill_after_ms = 100, .signal = SIGINT, .wait_for = (folder / "out.journal").string()});
  EXPECT_EQ(r.status, 130);
  EXPECT_TRUE(fs::exists(folder / "out.journal"));
  EXPECT_FALSE(fs::exists(folder / "out"));
  EXPECT_THAT(r.err, HasSubstr("--resume"));
}

TEST(Batch, AFullDiskAndAClosedPipeAreOutputErrors) {
  const Outcome full = run({"ocr", kLine}, {.out_path = "/dev/full"});
  EXPECT_EQ(full.status, 8);
  EXPECT_THAT(full.err, HasSubstr("stdout"));
  EXPECT_EQ(run({"ocr", kLine}, {.close_out = true}).status, 8);
  EXPECT_EQ(run({"ocr", "-o", "/nonexistent/folder/x", kLine}).status, 8);
}

TEST(Batch, ProgressIsSilentOffATerminalUnlessAskedFor) {
  EXPECT_EQ(run({"ocr", kLine, kLine}).err, "");
  const Outcome json = run({"ocr", "--progress", "json", kLine, kLine});
  EXPECT_THAT(json.err, HasSubstr("\"progress\""));
  EXPECT_EQ(json.err.find('\033'), std::string::npos);
}

}  // namespace
}  // namespace mtmd::test
