#include "engine/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "engine/base/error.h"
#include "engine/sampling/dry.h"
#include "engine/sampling/filters.h"
#include "engine/sampling/grammar_vocabulary.h"
#include "engine/sampling/history.h"
#include "engine/sampling/json_schema.h"
#include "engine/tokenizer/tokenizer.h"

namespace mtmd {
namespace {

using sampling::Candidates;

/// The comparison is false for NaN.
template <class T>
void require(bool good, const char* option, T value, const char* expected) {
  if (!good) fail(ErrorCategory::usage, "sampling option {} is {}; expected {}", option, value, expected);
}

void check(const SamplingOptions& o, const Tokenizer* tokenizer) {
  const auto share = [](float x) { return x >= 0 && x <= 1; };
  require(std::isfinite(o.temperature), "temperature", o.temperature, "a number (0: greedy)");
  require(o.top_k >= 0, "top_k", o.top_k, "0 (off) or more");
  require(share(o.top_p), "top_p", o.top_p, "0 to 1 (off)");
  require(share(o.min_p), "min_p", o.min_p, "0 (off) to 1");
  require(share(o.typical_p), "typical_p", o.typical_p, "0 to 1 (off)");
  require(o.penalty_last_n >= -1, "penalty_last_n", o.penalty_last_n, "-1 (all), 0 (off) or more");
  require(o.repeat_penalty > 0 && std::isfinite(o.repeat_penalty), "repeat_penalty", o.repeat_penalty,
          "more than 0 (1: off)");
  require(std::isfinite(o.frequency_penalty), "frequency_penalty", o.frequency_penalty, "a number (0: off)");
  require(std::isfinite(o.presence_penalty), "presence_penalty", o.presence_penalty, "a number (0: off)");
  require(o.dry_multiplier >= 0 && std::isfinite(o.dry_multiplier), "dry_multiplier", o.dry_multiplier,
          "0 (off) or more");
  require(o.dry_base >= 1 && std::isfinite(o.dry_base), "dry_base", o.dry_base, "1 or more");
  require(o.dry_allowed_length >= 1, "dry_allowed_length", o.dry_allowed_length, "1 or more");
  require(o.dry_penalty_last_n >= -1, "dry_penalty_last_n", o.dry_penalty_last_n, "-1 (all), 0 (off) or more");
  for (const auto& [token, bias] : o.logit_bias) {
    require(token >= 0, "logit_bias", token, "a token id");
    require(bias < std::numeric_limits<float>::infinity(), "logit_bias", bias, "a number or -infinity (never)");
  }
  if (o.dry_multiplier > 0 && tokenizer == nullptr)
    fail(ErrorCategory::internal, "sampling with DRY needs the tokenizer for its sequence breakers");
  if (tokenizer == nullptr && (!o.grammar.empty() || !o.json_schema.empty()))
    fail(ErrorCategory::internal, "sampling with a grammar needs the tokenizer for the texts of its tokens");
}

std::size_t window(std::int32_t last_n) {
  return last_n < 0 ? sampling::History::kUnbounded : static_cast<std::size_t>(last_n);
}

bool uses_penalties(const SamplingOptions& o) {
  return o.penalty_last_n != 0 && (o.repeat_penalty != 1 || o.frequency_penalty != 0 || o.presence_penalty != 0);
}

bool uses_dry(const SamplingOptions& o) { return o.dry_multiplier > 0 && o.dry_penalty_last_n != 0; }

/// base^n by squaring: the same bits on every machine, unlike std::pow.
double power(double base, std::size_t n) {
  double result = 1;
  for (; n > 0; n >>= 1, base *= base)
    if (n & 1) result *= base;
  return result;
}

/// The grammar, how far the text has got in it, and what it allows next.
struct Constraint {
  Constraint(const Grammar& g, const Tokenizer& t) : tokenizer(t), start(g), state(start) {}

  bool allows(std::int32_t token) const {
    if (tokenizer.is_end_of_generation(token)) return state.complete();
    const std::string piece = tokenizer.piece(token);
    return !piece.empty() && state.allowed(piece);
  }
  /// -infinity for what is not allowed, and NaN with it.
  void mask(std::span<const float> given, std::vector<float>& masked) {
    if (!vocabulary) vocabulary.emplace(tokenizer);
    std::size_t n = vocabulary->allowed(state, allowed);
    if (state.complete())
      for (Token t = 0; t < tokenizer.size(); ++t)
        if (tokenizer.is_end_of_generation(t)) allowed[static_cast<std::size_t>(t)] = 1, ++n;
    if (n == 0)
      fail(ErrorCategory::usage, "{}",
           state.complete() ? "the grammar is at its end, but this model has no token that ends an answer"
                            : "the grammar asks for a text here that no token of this model begins");
    masked.assign(given.begin(), given.end());
    const float lowest = std::numeric_limits<float>::lowest();
    for (std::size_t i = 0; i < masked.size(); ++i) {
      if (i >= allowed.size() || allowed[i] == 0)
        masked[i] = -std::numeric_limits<float>::infinity();
      else if (!(masked[i] >= lowest))  // forbidden by a bias or NaN, yet better than what the grammar forbids
        masked[i] = lowest;
    }
  }
  void accept(std::int32_t token) {
    if (!tokenizer.is_end_of_generation(token)) state.accept(tokenizer.piece(token));
  }

  const Tokenizer& tokenizer;
  GrammarState start, state;
  std::optional<grammar::Vocabulary> vocabulary;
  std::vector<std::uint8_t> allowed;
};

std::int32_t argmax(std::span<const float> logits) {
  std::size_t best = 0;
  float largest = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > largest)) continue;  // NaN never wins
    largest = logits[i];
    best = i;
  }
  return static_cast<std::int32_t>(best);
}

}  // namespace

struct Sampler::Impl {
  Impl(const SamplingOptions& o, const Tokenizer* tokenizer)
      : options(o),
        recent(uses_penalties(o) ? window(o.penalty_last_n) : 0),
        written(uses_dry(o) ? window(o.dry_penalty_last_n) : 0),
        random(o.seed) {
    if (uses_dry(o)) breakers = sampling::SequenceBreakers(*tokenizer, o.dry_sequence_breakers);
    if (const auto grammar = grammar_of(o)) constraint.emplace(*grammar, *tokenizer);
    // beyond this exponent the penalty is as good as a ban, and the power overflows
    if (o.dry_base > 1) max_exponent = static_cast<std::size_t>(80.0 / std::log(double{o.dry_base}));
  }

  std::int32_t choose(std::span<const float> given) {
    if (given.empty()) fail(ErrorCategory::internal, "sampling from no logits");
    const bool changed = !options.logit_bias.empty() || uses_penalties(options) || uses_dry(options);
    if (changed) {
      logits.assign(given.begin(), given.end());
      adjust();
      given = logits;
    }
    const std::int32_t token = pick(given);
    if (!constraint || constraint->allows(token)) return token;
    constraint->mask(given, masked);
    return pick(masked);
  }

  std::int32_t pick(std::span<const float> given) {
    if (options.temperature <= 0) return argmax(given);
    candidates.clear();
    candidates.reserve(given.size());
    constexpr float kLargest = std::numeric_limits<float>::max();
    for (std::size_t i = 0; i < given.size(); ++i) {
      const float logit = std::isnan(given[i]) ? -std::numeric_limits<float>::infinity() : std::min(given[i], kLargest);
      candidates.push_back({static_cast<std::int32_t>(i), logit, 0});
    }
    if (options.top_k > 0) sampling::keep_top_k(candidates, static_cast<std::size_t>(options.top_k));
    if (options.typical_p < 1) sampling::keep_typical(candidates, double{options.typical_p});
    if (options.top_p < 1) sampling::keep_top_p(candidates, double{options.top_p});
    if (options.min_p > 0) sampling::keep_min_p(candidates, double{options.min_p});
    const double u = static_cast<double>(random() >> 11) * 0x1p-53;
    return sampling::pick(candidates, double{options.temperature}, u);
  }

  /// Bias, then penalties (Keskar et al. 2019, arXiv:1909.05858, for the repetition penalty), then DRY.
  void adjust() {
    const auto n = static_cast<std::int32_t>(logits.size());
    for (const auto& [token, bias] : options.logit_bias)
      if (token < n) logits[token] += bias;
    recent.for_each([&](Token token, std::uint32_t count) {
      if (token >= n) return;
      float& logit = logits[token];
      logit = logit <= 0 ? logit * options.repeat_penalty : logit / options.repeat_penalty;
      logit -= static_cast<float>(count) * options.frequency_penalty + options.presence_penalty;
    });
    if (!uses_dry(options)) return;
    const auto tokens = written.tokens();
    const auto allowed = static_cast<std::size_t>(options.dry_allowed_length);
    for (const auto& p : dry.find(tokens, breakers.since_last(tokens), allowed)) {
      if (p.token < 0 || p.token >= n) continue;
      const double price = power(double{options.dry_base}, std::min(p.length - allowed, max_exponent));
      logits[p.token] -= static_cast<float>(double{options.dry_multiplier} * price);
    }
  }

  SamplingOptions options;
  sampling::History recent, written;  ///< for the penalties; for DRY
  sampling::SequenceBreakers breakers;
  sampling::DryFinder dry;
  std::size_t max_exponent = 0;
  std::mt19937_64 random;  ///< the standard fixes its sequence
  std::optional<Constraint> constraint;
  std::vector<float> logits, masked;
  Candidates candidates;
};

std::optional<Grammar> grammar_of(const SamplingOptions& options) {
  if (!options.grammar.empty() && !options.json_schema.empty())
    fail(ErrorCategory::usage, "grammar and json_schema exclude each other; give one of them");
  if (!options.grammar.empty()) return Grammar::parse(options.grammar);
  if (!options.json_schema.empty()) return Grammar::parse(json_schema_to_gbnf(options.json_schema));
  return std::nullopt;
}

Sampler::Sampler(const SamplingOptions& options, const Tokenizer* tokenizer) {
  check(options, tokenizer);
  impl_ = std::make_unique<Impl>(options, tokenizer);
}

Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;

std::int32_t Sampler::sample(std::span<const float> logits) {
  const std::int32_t token = impl_->choose(logits);
  if (impl_->constraint) impl_->constraint->accept(token);
  accept(token);
  return token;
}

void Sampler::accept(std::int32_t token) {
  impl_->recent.add(token);
  impl_->written.add(token);
}

void Sampler::reset() {
  impl_->recent.clear();
  impl_->written.clear();
  if (impl_->constraint) impl_->constraint->state = impl_->constraint->start;
  impl_->random.seed(impl_->options.seed);
}

}  // namespace mtmd
