// Against llama.cpp's results: our own vocabularies with their recorded prompts, and the whole kit where it is present.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "engine/tokenizer/vocabularies.h"
#include "mtmd/conformance/conformance.h"

namespace mtmd::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST(RecordedVocabularies, PromptsAndEnds) {
  std::ifstream in(MTMD_TEST_DATA "/vocab/recorded.json");
  const auto recorded = nlohmann::json::parse(in);
  ASSERT_GE(recorded.size(), 13u);
  for (const auto& [name, golden] : recorded.items()) {
    SCOPED_TRACE(name);
    const auto tokenizer = load_vocabulary(name);
    const EncodeOptions options{golden.at("add_special").get<bool>(), golden.at("parse_special").get<bool>()};
    const std::string prompt = golden.at("prompt").get<std::string>();
    const auto tokens = tokenizer->encode(prompt, options);
    EXPECT_EQ(tokens, golden.at("tokens").get<std::vector<Token>>());
    std::vector<Token> ends;
    for (Token t = 0; t < tokenizer->size(); ++t)
      if (tokenizer->is_end_of_generation(t)) ends.push_back(t);
    EXPECT_EQ(ends, golden.at("eog").get<std::vector<Token>>());
  }
}

// Small vocabularies of our own, of the kinds that no model of the kit has; what llama.cpp's library (autumn 2026)
// makes of random texts.
TEST(RecordedVocabularies, UnigramAndWordPiece) {
  int passed = 0;
  conformance::run_tokenizer(MTMD_TEST_DATA "/vocab/other", [&](const conformance::Result& r) {
    EXPECT_EQ(r.outcome, conformance::Outcome::passed) << r.name << ": " << r.detail;
    ++passed;
  });
  EXPECT_EQ(passed, 3);
}

class Kit : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(folder()))
      GTEST_SKIP() << folder() << " is not there: third-party vocabularies are not part of the repository";
  }
  static fs::path folder() { return MTMD_CONFORMANCE "/tokenizer"; }
};

TEST_F(Kit, EveryRecordedString) {
  int passed = 0;
  conformance::run_tokenizer(folder(), [&](const conformance::Result& r) {
    EXPECT_EQ(r.outcome, conformance::Outcome::passed) << r.name << ": " << r.detail;
    ++passed;
  });
  EXPECT_GE(passed, 40);
}

/// A copy of one case in which `edit` changes one file.
template <class Edit>
std::vector<conformance::Result> run_damaged(const fs::path& from, const std::string& file, Edit edit) {
  const fs::path copy = fs::path(::testing::TempDir()) / "mtmd_damaged_tokenizer_case";
  fs::remove_all(copy);
  fs::create_directories(copy);
  for (const char* part : {"gpt-2.gguf", "gpt-2.gguf.inp", "gpt-2.gguf.out", "gpt-2.info.json", "gpt-2.jsonl"}) {
    std::ifstream in(from / part, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    if (part == file) edit(text);
    std::ofstream(copy / part, std::ios::binary) << text;
  }
  std::vector<conformance::Result> failures;
  conformance::run_tokenizer(copy, [&](const conformance::Result& r) {
    if (r.outcome != conformance::Outcome::passed) failures.push_back(r);
  });
  fs::remove_all(copy);
  return failures;
}

void replace_once(std::string& text, std::string_view what, std::string_view with) {
  const std::size_t at = text.find(what);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, what.size(), with);
}

TEST_F(Kit, ADamagedRecordFails) {
  EXPECT_TRUE(run_damaged(folder(), "", [](std::string&) {}).empty());
  const auto fails = [&](const std::string& file, std::string_view what, std::string_view with,
                         const std::string& detail) {
    const auto failures = run_damaged(folder(), file, [&](std::string& text) { replace_once(text, what, with); });
    ASSERT_EQ(failures.size(), 1u) << file;
    EXPECT_EQ(failures[0].outcome, conformance::Outcome::failed);
    EXPECT_THAT(failures[0].detail, HasSubstr(detail));
  };
  fails("gpt-2.jsonl", "\"tokens\":[198]", "\"tokens\":[199]", "token 0 is 198, expected 199");
  fails("gpt-2.jsonl", "\"tokens\":[198]", "\"tokens\":[198,198]", "token 1 is the end");
  fails("gpt-2.jsonl", "\"detok_hex\":\"20\"", "\"detok_hex\":\"21\"", "detokenized");
  fails("gpt-2.jsonl", "\"text_hex\":\"20\"", "\"text_hex\":\"2\"", "hexadecimal");
  fails("gpt-2.info.json", "\"eos\":50256", "\"eos\":50255", "eos is 50256, expected 50255");
  fails("gpt-2.info.json", "\"eog\":[50256]", "\"eog\":[]", "eog");
  const auto shorter = run_damaged(folder(), "gpt-2.gguf.out", [](std::string& text) { text.resize(text.size() / 2); });
  EXPECT_EQ(shorter.size(), 1u);
  const auto no_model = run_damaged(folder(), "gpt-2.gguf", [](std::string& text) { text.resize(100); });
  EXPECT_EQ(no_model.size(), 3u);
}

}  // namespace
}  // namespace mtmd::testing
