// Map and reduce with a model of random weights: what it writes is noise, how often it is asked is not.
#include "mtmd/summary/summarizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/base/error.h"

namespace mtmd {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const Model> model() {
  static const auto loaded = Model::load({.model = MTMD_TEST_DATA "/text/qwen3.gguf", .look_for_mmproj = false});
  return loaded;
}

std::string long_text(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i) text += "Item " + std::to_string(i) + " was discussed and accepted.\n";
  return text;
}

SummaryOptions short_answers() {
  SummaryOptions options;
  options.generate.max_tokens = 12;
  return options;
}

TEST(Summarizing, AShortTextIsReadAtOnce) {
  Summarizer summarizer(model(), {.n_ctx = 1024});
  const Summary s = summarizer.summarize("One line.", short_answers());
  EXPECT_EQ(s.n_parts, 0);
  EXPECT_EQ(s.n_levels, 0);
  EXPECT_EQ(s.n_generated, 12);
}

TEST(Summarizing, ALongTextByNotesOnItsParts) {
  Summarizer summarizer(model(), {.n_ctx = 512});
  std::map<std::string, std::string> kept;
  int asked = 0, last_total = 0;
  SummaryHooks hooks;
  hooks.keep = [&](const std::string& key, const std::string& notes) { kept[key] = notes, ++asked; };
  hooks.recall = [&](const std::string& key) {
    const auto it = kept.find(key);
    return it == kept.end() ? std::nullopt : std::optional(it->second);
  };
  hooks.progress = [&](int done, int total) {
    EXPECT_LT(done, total);
    last_total = total;
  };
  const Summary s = summarizer.summarize(long_text(100), short_answers(), hooks);
  EXPECT_GT(s.n_parts, 3);
  EXPECT_GE(s.n_levels, 1);
  EXPECT_GE(asked, s.n_parts);
  EXPECT_GT(last_total, 0);
  // Again after a kill: notes that were kept are not taken again, and the summary is the same.
  asked = 0;
  const int removed = 2;
  for (int i = 0; i < removed; ++i) kept.erase(kept.begin());
  const Summary again = Summarizer(model(), {.n_ctx = 512}).summarize(long_text(100), short_answers(), hooks);
  EXPECT_EQ(asked, removed);
  EXPECT_EQ(again.text, s.text);
}

TEST(Summarizing, AContextWithoutRoomSaysWhatWouldDo) {
  try {
    (void)Summarizer(model(), {.n_ctx = 64}).summarize("One line.", {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::resource);
    EXPECT_THAT(e.what(), ::testing::ContainsRegex("-c [0-9]+ would do|was trained for"));
  }
}

TEST(Summarizing, NothingToSummarize) {
  for (const char* text : {"", " \n\t"}) {
    try {
      (void)Summarizer(model(), {.n_ctx = 1024}).summarize(text, short_answers());
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::input);
    }
  }
}

TEST(Summarizing, TheReaderOfLinesCannot) {
  try {
    const Summarizer s(Model::load({.model = MTMD_MODELS "/line-reader.gguf"}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
    EXPECT_THAT(e.what(), HasSubstr("-m FILE"));
  }
}

}  // namespace
}  // namespace mtmd
