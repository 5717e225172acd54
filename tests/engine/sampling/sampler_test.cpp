#include "engine/sampling/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "engine/base/error.h"
#include "engine/gguf/gguf.h"
#include "engine/sampling/dry.h"
#include "engine/tokenizer/tokenizer.h"

long allocations();  // allocations.cpp: calls of operator new so far

namespace mtmd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Logits = std::vector<float>;

constexpr float kNever = -std::numeric_limits<float>::infinity();

SamplingOptions plain(float temperature) {
  SamplingOptions o;
  o.temperature = temperature;
  o.top_k = 0;
  o.top_p = 1;
  o.min_p = 0;
  return o;
}

std::unique_ptr<Tokenizer> vocabulary() {
  return Tokenizer::load(gguf::File::open(MTMD_TEST_DATA "/vocab/llama.gguf").metadata());
}

Logits random_logits(unsigned seed, std::size_t n) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  Logits logits(n);
  for (float& l : logits) l = normal(random);
  return logits;
}

TEST(Sampler, GreedyTakesTheLowestIdAmongEquals) {
  Sampler sampler(plain(0), nullptr);
  EXPECT_EQ(sampler.sample(Logits{1, 3, 3, 2}), 1);
  EXPECT_EQ(sampler.sample(Logits{-5}), 0);
  EXPECT_EQ(sampler.sample(Logits{std::nanf(""), kNever, -7, std::nanf("")}), 2);
  EXPECT_EQ(sampler.sample(Logits{std::nanf(""), kNever}), 0);
}

TEST(Sampler, ChoicesFollowTheSoftmax) {
  const Logits logits = {0.5f, 1.5f, -1.0f, 0.0f, 2.0f};
  auto options = plain(0.8f);
  options.seed = 11;
  Sampler sampler(options, nullptr);
  constexpr int n = 200000;
  std::vector<int> count(logits.size());
  for (int i = 0; i < n; ++i) ++count[sampler.sample(logits)];
  double sum = 0;
  for (const float l : logits) sum += std::exp(l / 0.8);
  double chi2 = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double expected = n * std::exp(logits[i] / 0.8) / sum;
    chi2 += (count[i] - expected) * (count[i] - expected) / expected;
  }
  EXPECT_LT(chi2, 23.5);  // 4 degrees of freedom, p = 0.0001; the seed is fixed
}

TEST(Sampler, TheSeedDecides) {
  const auto run = [](std::uint64_t seed) {
    auto options = plain(1.5f);
    options.seed = seed;
    options.top_k = 50;
    Sampler sampler(options, nullptr);
    std::vector<std::int32_t> tokens;
    for (unsigned i = 0; i < 50; ++i) tokens.push_back(sampler.sample(random_logits(i, 300)));
    return tokens;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
  // the sequence itself is part of the promise: equal on every machine and with every standard library
  auto options = plain(1.0f);
  options.seed = 42;
  Sampler sampler(options, nullptr);
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < 8; ++i) tokens.push_back(sampler.sample(Logits(10, 0.0f)));
  // floor(10 u) for the first values of mt19937_64(42), u = (x >> 11) / 2^53
  EXPECT_THAT(tokens, ElementsAre(7, 6, 7, 1, 9, 0, 5, 3));
}

TEST(Sampler, ResetStartsAfresh) {
  auto options = plain(1.0f);
  options.repeat_penalty = 1.5f;
  Sampler sampler(options, nullptr);
  const auto logits = random_logits(3, 50);
  std::vector<std::int32_t> first, second;
  for (int i = 0; i < 20; ++i) first.push_back(sampler.sample(logits));
  sampler.reset();
  for (int i = 0; i < 20; ++i) second.push_back(sampler.sample(logits));
  EXPECT_EQ(first, second);
}

TEST(Sampler, FiltersLimitTheChoice) {
  const Logits logits = {0, 1, 2, 3, 4, 5};
  const auto reachable = [&](const SamplingOptions& options) {
    Sampler sampler(options, nullptr);
    std::vector<bool> seen(logits.size());
    for (int i = 0; i < 5000; ++i) seen[sampler.sample(logits)] = true;
    return seen;
  };
  auto k = plain(100.0f);
  k.top_k = 2;
  EXPECT_THAT(reachable(k), ElementsAre(false, false, false, false, true, true));
  auto p = plain(100.0f);  // the filters see the probabilities before the temperature: .634 .233 .086 …
  p.top_p = 0.8f;
  EXPECT_THAT(reachable(p), ElementsAre(false, false, false, false, true, true));
  auto m = plain(100.0f);
  m.min_p = 0.1f;  // e^-2 = .135, e^-3 = .0498
  EXPECT_THAT(reachable(m), ElementsAre(false, false, false, true, true, true));
}

TEST(Sampler, BiasAddsAndBans) {
  auto options = plain(0);
  options.logit_bias = {{2, kNever}, {0, 10.0f}, {99, 1000.0f}};  // 99 is beyond this vocabulary
  Sampler sampler(options, nullptr);
  EXPECT_EQ(sampler.sample(Logits{1, 2, 30}), 0);
  EXPECT_EQ(sampler.sample(Logits{1, 12, 30}), 1);
}

/// The token that greedy sampling prefers tells the adjusted logit of token 0: bisect for the rival that ties.
float adjusted_logit(const SamplingOptions& options, const std::vector<std::int32_t>& history, float logit) {
  float low = -100, high = 100;
  for (int i = 0; i < 60; ++i) {
    const float middle = (low + high) / 2;
    Sampler sampler(options, nullptr);
    for (const auto t : history) sampler.accept(t);
    (sampler.sample(Logits{logit, middle}) == 0 ? low : high) = middle;
  }
  return low;
}

TEST(Sampler, PenaltiesByTheirDefinition) {
  auto options = plain(0);
  options.repeat_penalty = 1.25f;
  options.frequency_penalty = 0.5f;
  options.presence_penalty = 0.25f;
  options.penalty_last_n = 4;
  // positive logits are divided, negative ones multiplied; then count * frequency + presence
  EXPECT_NEAR(adjusted_logit(options, {0}, 2.0f), 2.0 / 1.25 - 0.5 - 0.25, 1e-4);
  EXPECT_NEAR(adjusted_logit(options, {0, 7, 0}, 2.0f), 2.0 / 1.25 - 2 * 0.5 - 0.25, 1e-4);
  EXPECT_NEAR(adjusted_logit(options, {0}, -2.0f), -2.0 * 1.25 - 0.5 - 0.25, 1e-4);
  EXPECT_NEAR(adjusted_logit(options, {7}, 2.0f), 2.0, 1e-4);
  // outside of the window of four
  EXPECT_NEAR(adjusted_logit(options, {0, 7, 7, 7, 7}, 2.0f), 2.0, 1e-4);
  EXPECT_NEAR(adjusted_logit(options, {0, 7, 7, 7}, 2.0f), 2.0 / 1.25 - 0.75, 1e-4);
  std::vector<std::int32_t> old(500, 7);
  old.front() = 0;
  EXPECT_NEAR(adjusted_logit(options, old, 2.0f), 2.0, 1e-4);
  options.penalty_last_n = -1;
  EXPECT_NEAR(adjusted_logit(options, old, 2.0f), 2.0 / 1.25 - 0.75, 1e-4);
  options.penalty_last_n = 0;
  EXPECT_NEAR(adjusted_logit(options, {0, 0}, 2.0f), 2.0, 1e-4);
  EXPECT_NEAR(adjusted_logit(options, {-1, -1}, 2.0f), 2.0, 1e-4);  // media in the history
}

TEST(Dry, LongestRepetitionByItsDefinition) {
  std::mt19937 random(9);
  sampling::DryFinder finder;
  for (int i = 0; i < 500; ++i) {
    std::vector<Token> history(random() % 30);
    for (auto& t : history) t = static_cast<Token>(random() % 3);
    const std::size_t limit = random() % 30, allowed = 1 + random() % 4;
    // for each token: the longest end of the history that stood before it earlier
    std::vector<std::size_t> longest(3);
    for (std::size_t at = 1; at < history.size(); ++at) {
      std::size_t n = 0;
      while (n < at && n < history.size() && history[at - 1 - n] == history[history.size() - 1 - n]) ++n;
      n = std::min(n, limit);
      auto& best = longest[history[at]];
      if (n >= allowed) best = std::max(best, n);
    }
    std::vector<std::size_t> found(3);
    for (const auto& p : finder.find(history, limit, allowed)) found[p.token] = p.length;
    ASSERT_EQ(found, longest);
  }
}

TEST(Dry, PenaltyGrowsWithTheRepetition) {
  const auto tokenizer = vocabulary();
  auto options = plain(0);
  options.dry_multiplier = 1.0f;
  options.dry_base = 2.0f;
  options.dry_allowed_length = 2;
  const Token a = tokenizer->find("a"), b = tokenizer->find("b"), c = tokenizer->find("c"), d = tokenizer->find("d");
  const Token breaker = tokenizer->find(":");
  ASSERT_GE(breaker, 0);
  const auto chosen = [&](std::vector<Token> history, float lead) {
    Sampler sampler(options, tokenizer.get());
    for (const Token t : history) sampler.accept(t);
    Logits logits(static_cast<std::size_t>(tokenizer->size()), kNever);
    logits[d] = lead;
    logits[a] = 0;
    return sampler.sample(logits);
  };
  // "b c" was followed by d: length 2, penalty 1; "a b c": length 3, penalty 2
  EXPECT_EQ(chosen({b, c, d, b, c}, 0.99f), a);
  EXPECT_EQ(chosen({b, c, d, b, c}, 1.01f), d);
  EXPECT_EQ(chosen({a, b, c, d, a, b, c}, 1.99f), a);
  EXPECT_EQ(chosen({a, b, c, d, a, b, c}, 2.01f), d);
  EXPECT_EQ(chosen({c, d, c}, 0.01f), d);                 // length 1 is allowed
  EXPECT_EQ(chosen({b, c, d, breaker, c}, 0.01f), d);     // only c since the breaker
  EXPECT_EQ(chosen({breaker, b, c, d, b, c}, 0.99f), a);  // the breaker is too far back to matter
  options.dry_penalty_last_n = 4;
  EXPECT_EQ(chosen({b, c, d, b, c}, 0.01f), d);  // the window cuts the first b off
}

TEST(Dry, BreakersMayRunOverSeveralTokens) {
  const auto tokenizer = vocabulary();
  const std::vector<std::string> strings = {"xyz"};
  const sampling::SequenceBreakers breakers(*tokenizer, strings);
  const auto history = tokenizer->encode("abxyzab");
  const auto after = tokenizer->encode("ab");
  EXPECT_EQ(breakers.since_last(history), after.size());
  const auto none = tokenizer->encode("abxyab");
  EXPECT_EQ(breakers.since_last(none), none.size());
}

TEST(Sampler, NoAllocationInTheSteadyState) {
  const auto tokenizer = vocabulary();
  SamplingOptions options;
  options.temperature = 0.9f;
  options.typical_p = 0.9f;
  options.repeat_penalty = 1.1f;
  options.frequency_penalty = 0.1f;
  options.dry_multiplier = 0.8f;
  options.dry_penalty_last_n = 100;
  options.logit_bias = {{1, 1.0f}};
  const auto logits = random_logits(1, static_cast<std::size_t>(tokenizer->size()));
  for (const float temperature : {0.0f, 0.9f}) {
    options.temperature = temperature;
    Sampler sampler(options, tokenizer.get());
    for (int i = 0; i < 1000; ++i) sampler.sample(logits);
    const long before = allocations();
    for (int i = 0; i < 1000; ++i) sampler.sample(logits);
    EXPECT_EQ(allocations(), before) << temperature;
  }
}

TEST(Sampler, ValuesOutOfRangeAreNamed) {
  const auto message = [](auto change) -> std::string {
    SamplingOptions options;
    change(options);
    try {
      Sampler sampler(options, nullptr);
    } catch (const Error& e) {
      EXPECT_EQ(e.category(), ErrorCategory::usage);
      return e.what();
    }
    return "nothing thrown";
  };
  EXPECT_THAT(message([](auto& o) { o.top_p = 1.5f; }), HasSubstr("top_p is 1.5; expected 0 to 1"));
  EXPECT_THAT(message([](auto& o) { o.top_k = -1; }), HasSubstr("top_k is -1"));
  EXPECT_THAT(message([](auto& o) { o.min_p = -0.1f; }), HasSubstr("min_p"));
  EXPECT_THAT(message([](auto& o) { o.typical_p = std::nanf(""); }), HasSubstr("typical_p"));
  EXPECT_THAT(message([](auto& o) { o.temperature = std::nanf(""); }), HasSubstr("temperature"));
  EXPECT_THAT(message([](auto& o) { o.repeat_penalty = 0; }), HasSubstr("repeat_penalty"));
  EXPECT_THAT(message([](auto& o) { o.penalty_last_n = -2; }), HasSubstr("penalty_last_n"));
  EXPECT_THAT(message([](auto& o) { o.dry_base = 0.5f; }), HasSubstr("dry_base"));
  EXPECT_THAT(message([](auto& o) { o.logit_bias = {{-3, 1.0f}}; }), HasSubstr("logit_bias is -3"));
  EXPECT_THAT(message([](auto& o) { o.logit_bias = {{3, std::nanf("")}}; }), HasSubstr("logit_bias is nan"));
}

}  // namespace
}  // namespace mtmd
