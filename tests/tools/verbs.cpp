// run, chat, tokenize, inspect, verify, conformance.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tools/process.h"

namespace mtmd::test {
namespace {

using ::testing::HasSubstr;
const std::string kLine = MTMD_TEST_DATA "/line.ppm";
const std::string kModel = MTMD_MODELS "/line-reader.gguf";
const std::string kText = MTMD_TEST_DATA "/text/llama.gguf";

TEST(Run, AnswersAboutAPicture) {
  const Outcome r = run({"run", "-m", kModel, "--image", kLine, "-p", "OCR"});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, "Total 42.50 EUR\n");
}

TEST(Run, ASeedDecidesAndGreedyNeedsNone) {
  const auto sampled = [&](const char* seed) {
    return run({"run", "-m", kText, "--raw", "-p", "The", "-n", "20", "--temp", "1.5", "-s", seed}).out;
  };
  EXPECT_EQ(sampled("1"), sampled("1"));
  EXPECT_NE(sampled("1"), sampled("2"));
  const auto greedy = [&](const char* threads) {
    return run({"run", "-m", kText, "--raw", "-p", "The", "-n", "20", "-t", threads}).out;
  };
  EXPECT_EQ(greedy("1"), greedy("2"));
}

TEST(Run, AGrammarIsKept) {
  const std::vector<std::string> base = {"run", "-m", kText, "--raw", "-p", "The"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    return run(more);
  };
  EXPECT_THAT(with({"--grammar", "root ::= (\"a\"|\"b\"){3} \".\""}).out, ::testing::MatchesRegex("[ab][ab][ab]\\.\n"));
  const std::string value = with({"-j", R"({"enum": ["x", "yy"]})"}).out;
  EXPECT_TRUE(value == "\"x\"\n" || value == "\"yy\"\n") << value;
  const Outcome broken = with({"--grammar", "root ::= ("});
  EXPECT_EQ(broken.status, 2);
  EXPECT_THAT(broken.err, HasSubstr("line 1"));
  EXPECT_EQ(with({"--grammar", "root ::= \"a\"", "-j", "{}"}).status, 2);
}

TEST(Run, PicturesNeedAnEncoder) { EXPECT_EQ(run({"run", "-m", kText, "--image", kLine, "-p", "x"}).status, 2); }

TEST(Chat, WorksFromAPipe) {
  const Outcome r =
      run({"chat", "-m", kText, "--temp", "0", "-n", "5"}, {.input = "Hello\nAgain\n/undo\n/clear\n/quit\n"});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n') >= 2, true);
  EXPECT_EQ(r.out.find('\033'), std::string::npos);
}

TEST(Chat, AMissingPictureIsSaidAndTheConversationGoesOn) {
  const Outcome r = run({"chat", "-m", kModel, "--temp", "0", "-n", "40"},
                        {.input = "/image /nonexistent.png\n/image " + kLine + "\nOCR\n"});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("/nonexistent.png"));
  EXPECT_THAT(r.out, HasSubstr("Total 42.50 EUR"));
}

TEST(Tokenize, ThereAndBack) {
  const Outcome ids = run({"tokenize", "-m", kModel, "--ids", "Straße 7"});
  EXPECT_EQ(ids.status, 0) << ids.err;
  EXPECT_EQ(run({"tokenize", "-m", kModel, "--decode"}, {.input = ids.out}).out, "Straße 7\n");
  EXPECT_EQ(run({"tokenize", "-m", kModel, "--count", "abc"}).out, "3\n");
  EXPECT_EQ(run({"tokenize", "-m", kModel, "--decode", "99999999"}).status, 4);
}

TEST(Inspect, ShowsAModelAsAPersonWantsIt) {
  const Outcome r = run({"inspect", kModel});
  EXPECT_EQ(r.status, 0) << r.err;
  for (const char* fact : {"qwen2vl", "parameters", "context", "vocabulary", "template"})
    EXPECT_THAT(r.out, HasSubstr(fact));
  EXPECT_THAT(run({"inspect", "--tensors", kModel}).out, HasSubstr("token_embd.weight"));
  const auto json = nlohmann::json::parse(run({"inspect", "--json", "--tensors", kModel}).out);
  EXPECT_EQ(json["architecture"], "qwen2vl");
  EXPECT_GT(json["tensors"].size(), 10u);
  EXPECT_THAT(run({"inspect", MTMD_MODELS "/mmproj-line-reader.gguf"}).out, HasSubstr("qwen2vl_merger"));
  EXPECT_EQ(run({"inspect", kLine}).status, 5);
}

TEST(Verify, FindsWhatIsWrong) {
  EXPECT_EQ(run({"verify", kModel}).status, 0);
  TemporaryFolder folder;
  std::string bytes = read_file(kModel);
  bytes[bytes.size() - 1001 + (bytes.size() % 2)] = '\x7f';  // an f16 with all exponent bits: infinity or NaN
  bytes.replace(bytes.size() - 2000, 2, "\xff\x7f");
  write_file(folder / "nan.gguf", bytes);
  const Outcome r = run({"verify", (folder / "nan.gguf").string()});
  EXPECT_EQ(r.status, 5);
  EXPECT_THAT(r.out, HasSubstr("NaN"));
  write_file(folder / "cut.gguf", bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(run({"verify", (folder / "cut.gguf").string()}).status, 5);
}

TEST(Conformance, OwnDataPasses) {
  const Outcome r = run({"conformance", MTMD_TEST_DATA "/quant"});
  EXPECT_TRUE(r.status == 0 || r.status == 3) << r.out;
  EXPECT_THAT(r.out, HasSubstr(" 0 failed"));
  EXPECT_EQ(run({"conformance", "/nonexistent"}).status, 4);
}

}  // namespace
}  // namespace mtmd::test
