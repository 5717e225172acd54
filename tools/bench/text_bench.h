// Prompt and generation speed of language models.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "bench/ceilings.h"
#include "bench/measure.h"
#include "bench/text_runner.h"

namespace mtmd::bench {

/// What a model file is, for reports.
struct ModelFacts {
  std::string file, architecture;
  std::string types;  ///< most bytes first, e.g. "Q4_K 71 %, Q6_K 29 %"
  std::uint64_t bytes = 0, parameters = 0;
  std::uint64_t streamed_bytes = 0;  ///< read for one token: without a table of embeddings that no output uses
  double products = 0;               ///< multiply-adds of weights per prompt token, the output layer left out

  void copy_to(Result& result) const;
};
ModelFacts model_facts(const gguf::File& file, std::string name);

/// What prompts and generation are compared with; null members: not measured.
struct Limits {
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<MemoryProbe> memory;
  double int8 = 0, bf16 = 0;  ///< operations per second
};
Limits measure_limits(int threads, const std::string& isa);

/// Runs the tests one after the other. Throws as TextRunner does.
std::vector<Result> bench_text(const gguf::File& file, const ModelFacts& facts, const TextOptions& options,
                               std::span<const Test> tests, const Plan& plan, const Limits& limits,
                               const std::function<void(const Result&)>& progress);

}  // namespace mtmd::bench
