#include "bench/text_runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <climits>

#include "bench/measure.h"
#include "engine/base/error.h"

namespace mtmd::bench {
namespace {

constexpr std::int32_t kBlock = 32;

std::int32_t slots(std::span<const Test> tests) {
  std::int32_t n = 1;
  for (const Test& t : tests) n = std::max(n, t.sequences);
  return n;
}

std::vector<std::int32_t> deepest(std::span<const Test> tests) {
  std::vector<std::int32_t> depths(static_cast<std::size_t>(slots(tests)));
  for (const Test& t : tests)
    for (std::int32_t s = 0; s < t.sequences; ++s) {
      auto& depth = depths[static_cast<std::size_t>(s)];
      depth = std::max(depth, t.depth);
    }
  return depths;
}

/// A sequence that goes on from a prefix has its own copy of the last block, and may end within a block.
std::int32_t cache_tokens(std::span<const Test> tests) {
  std::int64_t prefixes = 0, fresh = 0;
  for (const std::int32_t depth : deepest(tests)) prefixes += depth + kBlock;
  for (const Test& t : tests) fresh = std::max(fresh, t.tokens() + 2 * kBlock * std::int64_t{t.sequences});
  if (prefixes + fresh > INT32_MAX)
    fail(ErrorCategory::resource, "bench: {} tokens in the cache; use fewer sequences or smaller depths",
         prefixes + fresh);
  return static_cast<std::int32_t>(prefixes + fresh);
}

std::int32_t longest(std::span<const Test> tests) {
  std::int64_t n = 0;
  for (const Test& t : tests) n = std::max(n, std::int64_t{t.depth} + t.prompt + t.generate);
  return static_cast<std::int32_t>(std::min<std::int64_t>(n, INT32_MAX));
}

}  // namespace

std::string Test::name() const {
  std::string text = prompt > 0 && generate > 0 ? fmt::format("pp{}+tg{}", prompt, generate)
                     : prompt > 0               ? fmt::format("pp{}", prompt)
                                                : fmt::format("tg{}", generate);
  if (sequences > 1) text += fmt::format(" x{}", sequences);
  return depth > 0 ? fmt::format("{} @ d{}", text, depth) : text;
}

TextRunner::TextRunner(const gguf::File& file, const TextOptions& options, std::span<const Test> tests)
    : n_slots_(slots(tests)),
      n_batch_(options.batch),
      deepest_(deepest(tests)),
      device_(make_device("cpu", {.threads = options.threads, .isa = options.isa})),
      decoder_(file, *device_, {.n_ctx = longest(tests), .n_ubatch = std::min(options.ubatch, options.batch)}),
      cache_(*device_, decoder_.kv_layers(),
             {.type = options.cache_type, .n_ctx = cache_tokens(tests), .block_tokens = kBlock}) {}

// Sequences 0..n_slots - 1 are the prefixes; n_slots.. are what the tests append to.
void TextRunner::prepare(const Test& test) {
  for (std::int32_t s = 0; s < n_slots_; ++s) cache_.clear(n_slots_ + s);
  for (std::int32_t s = 0; s < test.sequences; ++s) {
    if (test.depth == 0) continue;
    const std::int32_t missing = deepest_[static_cast<std::size_t>(s)] - cache_.length(s);
    if (missing > 0) feed(s, missing);
    cache_.fork(s, n_slots_ + s);
    // A recurrent model cannot go back to every length: what it forgot is computed again.
    const std::int32_t left = cache_.truncate(n_slots_ + s, test.depth);
    if (left < test.depth) feed(n_slots_ + s, test.depth - left);
  }
}

double TextRunner::run(const Test& test) {
  const double start = now();
  double first = -1;
  const auto logits = [&] {
    if (first < 0) first = now() - start;
  };
  for (std::int32_t s = 0; test.prompt > 0 && s < test.sequences; ++s) {
    feed(n_slots_ + s, test.prompt);
    logits();
  }
  for (std::int32_t i = 0; i < test.generate; ++i) {
    step(test.sequences);
    logits();
  }
  return first;
}

std::int32_t TextRunner::token() {
  return static_cast<std::int32_t>(random_() % static_cast<unsigned>(decoder_.spec().n_vocab));
}

void TextRunner::feed(kv::SequenceId sequence, std::int32_t n) {
  for (std::int32_t done = 0; done < n;) {
    const std::int32_t piece = std::min(n - done, n_batch_);
    ids_.resize(static_cast<std::size_t>(piece));
    for (std::int32_t& id : ids_) id = token();
    batch_.clear();
    batch_.add_text(sequence, ids_, cache_.length(sequence), done + piece == n);
    decoder_.forward(batch_, cache_);
    done += piece;
  }
}

void TextRunner::step(std::int32_t sequences) {
  batch_.clear();
  for (std::int32_t s = 0; s < sequences; ++s) {
    ids_.assign(1, token());
    batch_.add_text(n_slots_ + s, ids_, cache_.length(n_slots_ + s), true);
  }
  decoder_.forward(batch_, cache_);
}

}  // namespace mtmd::bench
