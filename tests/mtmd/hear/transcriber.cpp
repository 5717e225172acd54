// Windows into a model with random weights: what it says is noise, what happens around it is not.
#include "mtmd/hear/transcriber.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "engine/base/error.h"

namespace mtmd {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

fs::path kit(const std::string& file) { return fs::path(MTMD_CONFORMANCE "/media") / file; }

std::shared_ptr<const Model> model(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const Model>> loaded;
  auto& model = loaded[name];
  if (!model) model = Model::load({.model = kit(name + "/model.gguf"), .mmproj = kit(name + "/mmproj.gguf")});
  return model;
}

class Transcribing : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kit("voxtral"))) GTEST_SKIP() << kit("voxtral") << " of the conformance kit is not there";
  }
};

constexpr std::int64_t kSecond = audio::kRate;

/// A tone of `pitch` Hz; windows of different pitch sound different.
SoundWindow window(std::int64_t begin, std::int64_t end, double pitch, bool speaks = true) {
  SoundWindow w{begin, {}, begin, speaks ? end : begin};
  for (std::int64_t i = begin; i < end; ++i)
    w.samples.push_back(static_cast<float>(0.3 * std::sin(static_cast<double>(i) * pitch * 6.2831853 / audio::kRate)));
  return w;
}

std::function<std::optional<SoundWindow>()> source(std::vector<SoundWindow> windows) {
  return [windows = std::move(windows), i = std::size_t{0}]() mutable {
    return i < windows.size() ? std::optional(windows[i++]) : std::nullopt;
  };
}

HearOptions few_tokens(int n) {
  HearOptions options;
  options.generate.max_tokens = n;
  return options;
}

TEST_F(Transcribing, EveryWindowOnceInOrder) {
  Transcriber transcriber(model("voxtral"));
  std::vector<Segment> shown;
  std::vector<double> progress;
  HearHooks hooks;
  hooks.segment = [&](const Segment& s) { shown.push_back(s); };
  hooks.progress = [&](double seconds) { progress.push_back(seconds); };
  const Transcript t =
      transcriber.transcribe(source({window(0, 2 * kSecond, 200), window(2 * kSecond, 3 * kSecond, 0, false),
                                     window(3 * kSecond, 5 * kSecond, 300)}),
                             few_tokens(6), hooks);
  ASSERT_EQ(t.windows.size(), 3u);
  EXPECT_EQ(t.windows[1].text, "");
  EXPECT_TRUE(t.windows[1].attempts.empty());   // silence is not shown to the model
  EXPECT_EQ(t.windows[0].attempts.size(), 1u);  // a limit that was asked for is no reason to try again
  EXPECT_EQ(t.windows[0].finish, FinishReason::length);
  EXPECT_DOUBLE_EQ(t.seconds, 5);
  EXPECT_DOUBLE_EQ(t.heard_seconds, 4);
  EXPECT_GT(t.n_tokens, 0);
  EXPECT_THAT(progress, ::testing::ElementsAre(2, 3, 5));
  ASSERT_EQ(shown.size(), t.segments.size());
  double end = 0;
  for (const Segment& s : t.segments) {
    EXPECT_GE(s.begin, end);
    EXPECT_GT(s.end, s.begin);
    EXPECT_NE(s.text, "");
    EXPECT_EQ(s.timing, Timing::speech);
    end = s.end;
  }
}

TEST_F(Transcribing, WithoutVadSilenceIsHeardAndTimesAreTheWindows) {
  Transcriber transcriber(model("voxtral"));
  HearOptions options = few_tokens(6);
  options.vad = false;
  const Transcript t = transcriber.transcribe(source({window(0, kSecond, 0, false)}), options);
  EXPECT_EQ(t.windows[0].attempts.size(), 1u);
  for (const Segment& s : t.segments) EXPECT_EQ(s.timing, Timing::window);
}

TEST_F(Transcribing, WhatWasKeptIsNotHeardAgain) {
  const auto windows = [] {
    return source({window(0, kSecond, 200), window(kSecond, 2 * kSecond, 300), window(2 * kSecond, 3 * kSecond, 400)});
  };
  for (const bool context : {false, true}) {
    std::map<std::string, HeardWindow> kept;
    HearHooks hooks;
    hooks.keep = [&](const std::string& key, const HeardWindow& w) { kept[key] = w; };
    hooks.recall = [&](const std::string& key) {
      const auto it = kept.find(key);
      return it == kept.end() ? std::nullopt : std::optional(it->second);
    };
    HearOptions options = few_tokens(6);
    options.context = context;
    Transcriber transcriber(model("voxtral"));
    const Transcript first = transcriber.transcribe(windows(), options, hooks);
    EXPECT_EQ(first.n_recalled, 0);
    EXPECT_EQ(kept.size(), 3u);
    kept.erase(std::prev(kept.end()));  // as if killed before one was kept
    const Transcript again = Transcriber(model("voxtral")).transcribe(windows(), options, hooks);
    EXPECT_EQ(again.n_recalled, 2);
    EXPECT_EQ(again.text(), first.text());
    EXPECT_EQ(again.n_tokens, first.n_tokens);
  }
}

TEST_F(Transcribing, LoopsAreHeardAgainInHalvesAndAtOtherTemperatures) {
  Transcriber transcriber(model("voxtral"));
  // Noise of random weights seldom ends by itself: the limit of a window's time counts like a loop.
  const Transcript t = transcriber.transcribe(source({window(0, 3 * kSecond, 220)}), {});
  const auto& attempts = t.windows[0].attempts;
  ASSERT_FALSE(attempts.empty());
  EXPECT_DOUBLE_EQ(attempts[0].end, 3);
  EXPECT_EQ(attempts[0].temperature, 0);
  if (attempts[0].finish == FinishReason::stop) GTEST_SKIP() << "the model stopped by itself";
  ASSERT_GE(attempts.size(), 3u);
  EXPECT_LT(attempts[1].end, 2.5);
  EXPECT_GT(attempts[1].end, 0.5);
  EXPECT_DOUBLE_EQ(attempts.back().end, 3);
  HearOptions once;
  once.retry = false;
  EXPECT_EQ(transcriber.transcribe(source({window(0, 3 * kSecond, 220)}), once).windows[0].attempts.size(), 1u);
}

TEST_F(Transcribing, StopsWhenAskedAndSaysHowFarItCame) {
  Transcriber transcriber(model("voxtral"));
  std::atomic<bool> cancel = false;
  HearOptions options = few_tokens(4);
  options.generate.cancel = &cancel;
  HearHooks hooks;
  hooks.progress = [&](double) { cancel = true; };
  const Transcript t =
      transcriber.transcribe(source({window(0, kSecond, 200), window(kSecond, 2 * kSecond, 300)}), options, hooks);
  EXPECT_EQ(t.finish, FinishReason::cancelled);
  EXPECT_DOUBLE_EQ(t.seconds, 1);
  options.generate.cancel = nullptr;
  options.generate.timeout = std::chrono::milliseconds(1);
  const Transcript late =
      transcriber.transcribe(source({window(0, kSecond, 200), window(kSecond, 2 * kSecond, 300)}), options);
  EXPECT_EQ(late.finish, FinishReason::timeout);
  EXPECT_LT(late.seconds, 2);
}

TEST_F(Transcribing, NoSoundIsLostBetweenWindows) {
  Transcriber transcriber(model("voxtral"));
  try {
    (void)transcriber.transcribe(source({window(0, kSecond, 0, false), window(kSecond + 1, 2 * kSecond, 0, false)}),
                                 {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::internal);
  }
  EXPECT_DOUBLE_EQ(transcriber.transcribe(source({}), {}).seconds, 0);
}

TEST_F(Transcribing, OverlapsAreCutInTheMiddle) {
  Transcriber transcriber(model("voxtral"));
  const Transcript t =
      transcriber.transcribe(source({window(0, 2 * kSecond, 200), window(kSecond, 3 * kSecond, 200)}), few_tokens(6));
  ASSERT_EQ(t.windows.size(), 2u);
  EXPECT_DOUBLE_EQ(t.seconds, 3);
  if (t.segments.size() == 2) {
    EXPECT_DOUBLE_EQ(t.segments[0].end, 1.5);
    EXPECT_DOUBLE_EQ(t.segments[1].begin, 1.5);
  }
}

std::string refusal(const std::string& name, const HearOptions& options) {
  try {
    Transcriber(model(name)).check(options);
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
    return e.what();
  }
  return "";
}

TEST_F(Transcribing, LanguagesWhereTheModelWasTrainedToBeTold) {
  HearOptions german;
  german.language = "de";
  EXPECT_EQ(refusal("voxtral", german), "");
  EXPECT_EQ(refusal("qwen3a", german), "");
  EXPECT_THAT(refusal("ultravox", german), HasSubstr("not trained to be told the language"));
  HearOptions unknown;
  unknown.language = "Klingon";
  EXPECT_THAT(refusal("voxtral", unknown), HasSubstr("not a known language"));
  HearOptions automatic;
  automatic.language = "auto";
  EXPECT_EQ(refusal("ultravox", automatic), "");
  HearOptions own = german;
  own.prompt = "Write.";
  EXPECT_THAT(refusal("voxtral", own), HasSubstr("own prompt"));
}

TEST_F(Transcribing, ModelsThatCannotHear) {
  try {
    const Transcriber deaf(Model::load({.model = kit("voxtral/model.gguf"), .look_for_mmproj = false}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::usage);
    EXPECT_THAT(e.what(), HasSubstr("no audio encoder"));
  }
}

}  // namespace
}  // namespace mtmd
