// The built-in model through Model, Session and generate: what does not depend on how well it reads.
#include "mtmd/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "engine/base/error.h"

namespace mtmd {
namespace {

std::shared_ptr<const Model> builtin() {
  static const auto model = Model::load({.model = MTMD_MODELS "/line-reader.gguf"});
  return model;
}

image::Image stripes(int width, int height, int period) {
  image::Image im{width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3), 255)};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      if (x / period % 2) std::fill_n(im.rgb.begin() + (y * width + x) * 3, 3, std::uint8_t{20});
  return im;
}

Prompt ask(int period, const std::string& id) {
  const Message message{"user", std::string(kMediaMarker) + "OCR"};
  return Prompt::marked(format_chat(*builtin(), std::span(&message, 1)), {{stripes(160, 32, period), id, "", false}});
}

GenerateOptions some(int n) {
  GenerateOptions o;
  o.max_tokens = n;
  o.loop_guard = false;
  return o;
}

TEST(Session, FindsItsMmproj) { ASSERT_NE(builtin()->projector(), nullptr); }

TEST(Session, GreedyIsTheSameForAnyThreadCount) {
  std::vector<std::vector<Token>> answers;
  for (const int threads : {1, 2, 3}) {
    ModelOptions options{.model = MTMD_MODELS "/line-reader.gguf"};
    options.device_options.threads = threads;
    Session session(Model::load(options));
    answers.push_back(session.generate(ask(5, "a"), some(24)).tokens);
  }
  EXPECT_EQ(answers[0], answers[1]);
  EXPECT_EQ(answers[0], answers[2]);
}

TEST(Session, AReusedBeginningChangesNothing) {
  Session fresh(builtin()), used(builtin());
  const auto want = fresh.generate(ask(7, "b"), some(16));
  used.generate(ask(5, "a"), some(16));
  const auto other = used.generate(ask(7, "b"), some(16));  // another picture: only the tokens before it are kept
  EXPECT_EQ(other.tokens, want.tokens);
  const auto again = used.generate(ask(7, "b"), some(16));
  EXPECT_EQ(again.tokens, want.tokens);
  EXPECT_EQ(again.n_cached, again.n_prompt - 1);
}

TEST(Session, AContextTooSmallSaysWhatWouldDo) {
  Session session(builtin(), {.n_ctx = 8});
  try {
    session.generate(ask(5, "a"), some(4));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::resource);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("-c "));
  }
}

TEST(Session, PlanCountsWhatGenerateUses) {
  Session session(builtin());
  const Plan plan = session.plan(ask(5, "a"), some(4));
  const auto answer = session.generate(ask(5, "a"), some(4));
  EXPECT_EQ(plan.n_text_tokens + plan.n_media_tokens, answer.n_prompt);
  EXPECT_EQ(plan.n_media_tokens, answer.media.at(0).tokens);
  EXPECT_GT(plan.kv_bytes, 0u);
}

TEST(Session, AStopMayBeATokenWithoutText) {
  const Tokenizer& tokenizer = builtin()->tokenizer();
  Token control = 0;
  const auto serves = [&](Token t) {
    return tokenizer.type(t) == TokenType::control && !tokenizer.is_end_of_generation(t) && !tokenizer.text(t).empty();
  };
  while (control < tokenizer.size() && !serves(control)) ++control;
  if (control == tokenizer.size())
    GTEST_SKIP() << "the built-in model has no control token that does not end an answer";
  GenerateOptions o = some(8);
  o.sampling.logit_bias.emplace_back(control, 1000.0f);
  Session session(builtin());
  EXPECT_EQ(session.generate(ask(5, "a"), o).tokens.size(), 8u);
  o.stop = {std::string(tokenizer.text(control))};
  const Generated g = session.generate(ask(5, "a"), o);
  EXPECT_EQ(g.finish, FinishReason::stop);
  EXPECT_TRUE(g.tokens.empty());
}

TEST(Session, CancelAndTimeoutEndAnAnswer) {
  Session session(builtin());
  std::atomic<bool> cancel{true};
  GenerateOptions o = some(1000);
  o.cancel = &cancel;
  EXPECT_EQ(session.generate(ask(5, "a"), o).finish, FinishReason::cancelled);
  o.cancel = nullptr;
  o.timeout = std::chrono::milliseconds(1);
  EXPECT_EQ(session.generate(ask(5, "a"), o).finish, FinishReason::timeout);
}

TEST(Session, MaxTokensIsKept) {
  Session session(builtin());
  const auto g = session.generate(ask(5, "a"), some(3));
  EXPECT_LE(g.tokens.size(), 3u);
}

TEST(Model, TextWithoutVisionIsRefusedMedia) {
  ModelOptions options{.model = MTMD_MODELS "/line-reader.gguf"};
  options.look_for_mmproj = false;
  Session session(Model::load(options));
  EXPECT_THROW(session.generate(ask(5, "a"), some(1)), Error);
}

TEST(Session, PicturesWithoutAnIdAreNeverTakenForEachOther) {
  Session session(builtin()), fresh(builtin());
  session.generate(ask(5, ""), some(8));
  EXPECT_EQ(session.generate(ask(9, ""), some(8)).tokens, fresh.generate(ask(9, ""), some(8)).tokens);
}

TEST(Model, AnMmprojOfAnotherModelIsRefused) {
  const std::string media = MTMD_TEST_DATA "/media/";
  // All these models are 64 wide: only positions and markers tell them apart.
  for (const auto& [text, vision] : {std::pair{"gemma3-f16", "qwen2vl_merger"}, {"mlp-anyres", "qwen2vl_merger"}}) {
    try {
      Model::load({.model = media + text + "/model.gguf", .mmproj = media + vision + "/mmproj.gguf"});
      ADD_FAILURE() << text << " took " << vision;
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::model);
      EXPECT_THAT(e.what(), ::testing::HasSubstr("another model"));
    }
  }
}

TEST(Model, AnMmprojAsModelIsRefused) {
  try {
    Model::load({.model = MTMD_MODELS "/mmproj-line-reader.gguf"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.category(), ErrorCategory::model);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("--mmproj"));
  }
}

}  // namespace
}  // namespace mtmd
