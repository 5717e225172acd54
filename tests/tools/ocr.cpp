// The main job: text of pictures on stdout, in every format.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tools/process.h"

namespace mtmd::test {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;
const std::string kLine = MTMD_TEST_DATA "/line.ppm";  // "Total 42.50 EUR"
const std::string kReceipt = MTMD_TEST_DATA "/receipt.png";

TEST(Ocr, ReadsALineExactly) {
  const Outcome r = run({"ocr", kLine});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, "Total 42.50 EUR\n");
}

TEST(Ocr, StdoutIsTheResultAndNothingElse) {
  const Outcome loud = run({"ocr", "-vv", kLine});
  const Outcome quiet = run({"ocr", "-q", kLine});
  EXPECT_EQ(loud.out, quiet.out);
  EXPECT_EQ(quiet.err, "");
  EXPECT_NE(loud.err, "");
}

TEST(Ocr, AnswersAreTheSameForAnyThreadsAndInstructionSet) {
  const Outcome want = run({"ocr", kReceipt});
  EXPECT_EQ(run({"ocr", "-t", "1", kReceipt}).out, want.out);
}

TEST(Ocr, JsonlHasEveryFieldOfTheConvention) {
  const Outcome r = run({"ocr", "-f", "jsonl", kLine, kLine});
  ASSERT_EQ(r.status, 0) << r.err;
  std::istringstream lines(r.out);
  std::size_t index = 0;
  for (std::string line; std::getline(lines, line); ++index) {
    const Json j = Json::parse(line);
    EXPECT_EQ(j["schema"], 1);
    EXPECT_EQ(j["index"], index);
    EXPECT_EQ(j["input"], kLine);
    EXPECT_EQ(j["status"], "ok");
    EXPECT_EQ(j["text"], "Total 42.50 EUR");
    EXPECT_EQ(j["finish_reason"], "stop");
    EXPECT_EQ(j["media"][0]["kind"], "image");
    EXPECT_GT(j["media"][0]["tokens"], 0);
    for (const char* stage : {"decode", "preprocess", "encode", "prefill", "generate", "total"})
      EXPECT_TRUE(j["timings_ms"].contains(stage)) << stage;
    EXPECT_EQ(j["model"]["sha256"].get<std::string>().size(), 64u);
    EXPECT_TRUE(j["warnings"].is_array());
    EXPECT_TRUE(j.contains("page"));
  }
  EXPECT_EQ(index, 2u);
}

TEST(Ocr, JsonIsOneArrayAndMarkdownHasHeadings) {
  const Json all = Json::parse(run({"ocr", "-f", "json", kLine, kLine}).out);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1]["text"], "Total 42.50 EUR");
  EXPECT_THAT(run({"ocr", "-f", "md", kLine, kLine}).out, HasSubstr("## line.ppm\n\nTotal 42.50 EUR\n"));
}

TEST(Ocr, ReadsFromStdinAndFromLists) {
  EXPECT_EQ(run({"ocr", "-"}, {.input = read_file(kLine)}).out, "Total 42.50 EUR\n");
  EXPECT_EQ(run({"ocr", "--files-from", "-"}, {.input = kLine + "\n"}).out, "Total 42.50 EUR\n");
  EXPECT_EQ(run({"ocr", "-0", "--files-from", "-"}, {.input = kLine + '\0'}).out, "Total 42.50 EUR\n");
  const Outcome manifest = run({"ocr", "--manifest", "-"}, {.input = "{\"input\": \"" + kLine + "\"}\n"});
  EXPECT_EQ(manifest.out, "Total 42.50 EUR\n");
  EXPECT_EQ(run({"ocr", "--manifest", "-"}, {.input = "{\"inptu\": 1}\n"}).status, 4);
}

TEST(Ocr, NameAndTypeOfAFileNeedNotAgree) {
  TemporaryFolder folder;
  const auto odd = folder / "ünïcode näme.txt";
  write_file(odd, read_file(kLine));
  EXPECT_EQ(run({"ocr", odd.string()}).out, "Total 42.50 EUR\n");
}

TEST(Ocr, PlanRunsNothing) {
  const Outcome r = run({"ocr", "--plan", "-f", "json", kLine});
  ASSERT_EQ(r.status, 0) << r.err;
  const Json plan = Json::parse(r.out);
  EXPECT_GT(plan["tokens"]["media"], 0);
  EXPECT_GT(plan["bytes"]["kv"], 0);
  EXPECT_GE(plan["bytes"]["peak"], plan["bytes"]["weights"]);
  EXPECT_THAT(run({"ocr", "--plan", kLine}).out, HasSubstr("tokens"));
}

TEST(Ocr, ATimeoutIsReported) {
  const Outcome r = run({"ocr", "-f", "jsonl", "--timeout", "0.001", kReceipt});
  EXPECT_EQ(Json::parse(r.out)["finish_reason"], "timeout");
  EXPECT_EQ(run({"ocr", "--strict", "--timeout", "0.001", kReceipt}).status, 9);
}

}  // namespace
}  // namespace mtmd::test
