// The verb as users run it. What the numbers are is never tested.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/process.h"

namespace mtmd::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kModel = MTMD_TEST_DATA "/text/llama_f16.gguf";
const std::string kMmproj = MTMD_TEST_DATA "/media/gemma3-f16/mmproj.gguf";

std::vector<std::string> quick(std::vector<std::string> more) {
  std::vector<std::string> arguments = {"bench", "-m", kModel, "-p", "8", "-n", "2", "--no-warmup", "--no-limits", "-q"};
  if (std::count(more.begin(), more.end(), std::string("-r")) == 0) {
    more.emplace_back("-r");
    more.emplace_back("2");
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Bench, HelpStartsWithExamples) {
  const Outcome r = run({"bench", "--help"});
  EXPECT_EQ(r.status, 0);
  EXPECT_LT(r.out.find("Examples:"), r.out.find("--model"));
}

TEST(Bench, EveryFormatHasEveryTest) {
  const Outcome table = run(quick({"-d", "0,4", "-npl", "1,2", "-pg", "4,2"}));
  EXPECT_EQ(table.status, 0) << table.err;
  for (const char* test : {"| pp8 |", "| tg2 |", "| tg2 x2 |", "| pp4+tg2 |", "| pp8 @ d4 |", "| tg2 x2 @ d4 |"}) EXPECT_THAT(table.out, HasSubstr(test));
  const json list = json::parse(run(quick({"-o", "json"})).out);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["test"], "pp8");
  EXPECT_EQ(list[0]["samples_ns"].size(), 2u);
  EXPECT_EQ(list[0]["n_ubatch"], 512);
  const Outcome lines = run(quick({"-o", "jsonl"}));
  EXPECT_EQ(json::parse(lines.out.substr(0, lines.out.find('\n')))["test"], "pp8");
  EXPECT_THAT(run(quick({"-o", "csv"})).out, StartsWith("schema,build_commit,cpu_info"));
}

TEST(Bench, FlagsThatCannotBeHonouredAreErrors) {
  for (const auto& flags : std::vector<std::vector<std::string>>{{"-fa", "0"}, {"-fa", "off"}, {"-ngl", "99"}, {"-mmp", "0"}, {"-ctk", "q4_0"},
                                                                 {"-ctk", "f16", "-ctv", "q8_0"}, {"-p", "8-1"}, {"-p", "x"}, {"-npl", "0"},
                                                                 {"-pg", "4"}, {"-o", "sql"}, {"--isa", "z80"}, {"--nonsense"},
                                                                 {"--interleave", "-t 1", "threads=2"}, {"--interleave", "nonsense=1", "threads=2"}}) {
    const Outcome r = run(quick(flags));
    EXPECT_NE(r.status, 0) << flags[0];
    EXPECT_NE(r.status, 15) << flags[0] << r.err;
    EXPECT_EQ(r.out, "") << flags[0];
  }
  EXPECT_EQ(run({"bench"}).status, 2);
  EXPECT_EQ(run({"bench", "-m", kModel, "-p", "0", "-n", "0"}).status, 2);
  EXPECT_EQ(run({"bench", "-m", "/nonexistent.gguf"}).status, 4);
  EXPECT_EQ(run({"bench", "--shape", "gpt-5"}).status, 2);
}

TEST(Bench, ComparesWithAnEarlierRun) {
  const TemporaryFolder folder;
  const std::string old = folder / "old.json";
  json list = json::parse(run(quick({"-o", "json"})).out);
  for (json& r : list) r["samples_ts"] = {1e-3, 1e-3, 1e-3};  // whatever runs today is faster
  write_file(old, list.dump());
  const Outcome faster = run(quick({"-r", "3", "--compare", old}));
  EXPECT_EQ(faster.status, 0) << faster.err;
  EXPECT_THAT(faster.out, HasSubstr("| faster |"));
  for (json& r : list) r["samples_ts"] = {1e12, 1e12, 1e12};
  write_file(old, list.dump());
  const Outcome slower = run(quick({"-r", "3", "--compare", old}));
  EXPECT_EQ(slower.status, 1);
  EXPECT_THAT(slower.out, HasSubstr("| slower |"));
  write_file(old, "nonsense");
  EXPECT_EQ(run(quick({"--compare", old})).status, 4);
}

TEST(Bench, DrawsAChart) {
  const TemporaryFolder folder;
  const std::string svg = folder / "out.svg";
  EXPECT_EQ(run(quick({"-npl", "1,2,3", "--plot", svg})).status, 0);
  EXPECT_THAT(read_file(svg), StartsWith("<svg "));
  EXPECT_EQ(run(quick({"--plot", "/nonexistent/out.svg"})).status, 8);
}

TEST(Bench, SamplesOnRequest) {
  const auto lines_of = [](const std::string& text) { return std::ranges::count(text, '\n'); };
  const Outcome r = run(quick({"--on-request"}), {.input = "0\n1\n1\n"});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(lines_of(r.out), 4);
  const json hello = json::parse(r.out.substr(0, r.out.find('\n')));
  EXPECT_EQ(hello["tests"], (json{"pp8", "tg2"}));
  EXPECT_EQ(run(quick({"--on-request"}), {.input = "2\n"}).status, 2);
  EXPECT_EQ(run(quick({"--on-request", "-t", "1,2"}), {.input = "0\n"}).status, 2);
}

TEST(Bench, TwoSettingsInTurns) {
  const Outcome r = run(quick({"-r", "6", "--interleave", "threads=1", "MTMD_ISA=base"}));
  EXPECT_TRUE(r.status == 0 || r.status == 1) << r.err;
  EXPECT_THAT(r.out, HasSubstr("| test | threads=1 | MTMD_ISA=base | ratio |"));
  EXPECT_THAT(r.out, HasSubstr("| pp8 |"));
  const Outcome records = run(quick({"-o", "json", "--interleave", "", "program=" MTMD_BINARY}));
  EXPECT_EQ(json::parse(records.out).size(), 4u);
  EXPECT_EQ(run(quick({"--interleave", "program=/nonexistent", ""})).status, 2);
}

TEST(Bench, MediaStageByStage) {
  const Outcome picture = run({"bench", "--shape", "test-tiny-sight", "--type", "Q8_0", "--image", "70x50", "-n", "2", "-r", "1", "--no-warmup", "-q"});
  EXPECT_EQ(picture.status, 0) << picture.err;
  for (const char* stage : {"decode png 70x50", "decode jpeg 70x50", "resize 70x50", "encode 70x50", "prefill 70x50", "generate 70x50"})
    EXPECT_THAT(picture.out, HasSubstr(stage));
  const Outcome sound = run({"bench", "--shape", "test-tiny-sound", "--type", "F16", "--audio", "2", "-n", "2", "-r", "1", "--no-warmup", "-q", "-o", "json"});
  EXPECT_EQ(sound.status, 0) << sound.err;
  std::vector<std::string> stages;
  for (const json& r : json::parse(sound.out)) stages.push_back(r["test"]);
  EXPECT_THAT(stages, ::testing::ElementsAre("decode wav 2 s", "decode flac 2 s", "resample 2 s", "mel 2 s", "encode 2 s", "prefill 2 s", "generate 2 s"));
  EXPECT_EQ(run({"bench", "--shape", "test-tiny-sight", "--audio", "2"}).status, 2);
  EXPECT_EQ(run({"bench", "--shape", "test-tiny", "--image", "64"}).status, 2);
  EXPECT_EQ(run({"bench", "-m", kModel, "--image", "64"}).status, 2);  // no mmproj beside it
}

TEST(Bench, AnEncoderAloneAtAPrecision) {
  const std::vector<std::string> alone = {"bench", "--mmproj", kMmproj, "--image", "70x50", "-r", "2", "--no-warmup", "-q"};
  const auto bench = [&](std::vector<std::string> more, const RunOptions& input = {}) {
    more.insert(more.begin(), alone.begin(), alone.end());
    return run(more, input);
  };
  // The embeddings in f32 are the embeddings in f32; those in bf16 are close, but others.
  const auto cosine = [&](const std::string& precision) {
    const Outcome r = bench({"--encoder-precision", precision, "--cosine", "-o", "json"});
    EXPECT_EQ(r.status, 0) << r.err;
    for (const json& record : json::parse(r.out))
      if (record["test"] == "encode 70x50") return record["cosine_to_f32"].get<double>();
    ADD_FAILURE() << r.out;
    return 0.0;
  };
  EXPECT_NEAR(cosine("f32"), 1, 1e-12);
  EXPECT_GT(cosine("auto"), 0.9995);
  EXPECT_GT(cosine("bf16"), 0.99);
  EXPECT_EQ(bench({"--encoder-precision", "f64"}).status, 2);
  EXPECT_EQ(run({"bench", "--mmproj", kMmproj}).status, 2);  // nothing to encode
  EXPECT_EQ(run({"bench", "--mmproj", kMmproj, "--audio", "2", "--on-request"}).status, 2);

  const Outcome served = bench({"--on-request"}, {.input = "0\n"});
  EXPECT_EQ(served.status, 0) << served.err;
  const json hello = json::parse(served.out.substr(0, served.out.find('\n')));
  EXPECT_EQ(hello["tests"], json{"encode 70x50"});
  EXPECT_EQ(hello["tokens"].size(), 1u);
  EXPECT_GT(hello["tokens"][0], 0);

  const Outcome turns = bench({"--interleave", "encoder-precision=f32", "encoder-precision=bf16"});
  EXPECT_TRUE(turns.status == 0 || turns.status == 1) << turns.err;
  EXPECT_THAT(turns.out, HasSubstr("| encode 70x50 |"));
}

TEST(Bench, KernelsHaveRows) {
  const Outcome r = run({"bench", "--ops", "--type", "Q8_0,F16", "--tokens", "1,3", "-r", "1", "--no-warmup", "--no-limits", "-q"});
  EXPECT_EQ(r.status, 0) << r.err;
  for (const char* op : {"matmul Q8_0 2048x2048 n=1", "matmul F16 2048x2048 n=3", "attention one token", "attention encoder", "rms_norm", "rope", "get_rows"})
    EXPECT_THAT(r.out, HasSubstr(op));
  EXPECT_EQ(run({"bench", "--ops", "--type", "Q99"}).status, 2);
}

}  // namespace
}  // namespace mtmd::test
