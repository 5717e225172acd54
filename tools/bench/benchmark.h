// What `mtmd bench` measures: prompt and generation speed of a model, and single matrix products.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/device/device.h"
#include "engine/gguf/gguf.h"

namespace mtmd::bench {

/// Seconds of every repetition, in order, the warm-up left out.
struct Samples {
  std::vector<double> seconds;

  double median() const;
  /// Half the distance between the quartiles, the spread that one slow outlier does not move.
  double spread() const;
};

/// Runs `body` once unmeasured, then `repetitions` times.
Samples measure(int repetitions, const std::function<void()>& before, const std::function<void()>& body);

/// One line of the table, named as llama-bench does: pp512, tg128, with "@ d4096" when the cache was filled before.
struct Test {
  std::int32_t prompt = 0;    ///< tokens of a prompt in one batch, or 0
  std::int32_t generate = 0;  ///< tokens one by one, or 0; after the prompt when both are given
  std::int32_t depth = 0;     ///< tokens in the cache beforehand

  std::string name() const;
  std::int32_t tokens() const noexcept { return prompt + generate; }
};

struct ModelResult {
  Test test;
  Samples samples;

  double tokens_per_second() const { return test.tokens() / samples.median(); }
};

struct ModelOptions {
  int threads = 0;
  std::int32_t ubatch = 512;
  DType cache_type = DType::F16;
  int repetitions = 5;
};

struct ModelReport {
  std::string file, architecture, types;  ///< types: most bytes first, e.g. "Q4_K 71 %, Q6_K 29 %"
  std::uint64_t weight_bytes = 0, parameters = 0;
  DeviceInfo device;
  std::vector<ModelResult> results;
};

/// Random tokens through the decoder. Throws Error(model) for a file that is no language model.
ModelReport bench_model(const std::string& path, std::span<const Test> tests, const ModelOptions& options,
                        const std::function<void(const ModelResult&)>& progress);

/// y = w x for weights of one type: rows x cols, n tokens; so many different weights that caches do not help.
struct OpResult {
  DType type = DType::F32;
  std::int64_t rows = 0, cols = 0, n = 0;
  Samples samples;

  double bytes_per_second() const;       ///< weight bytes
  double operations_per_second() const;  ///< two per multiply-add
};
OpResult bench_matmul(Device& device, DType type, std::int64_t rows, std::int64_t cols, std::int64_t n,
                      int repetitions);

/// Bytes per second that `threads` threads read from memory.
double memory_read_rate(int threads);

}  // namespace mtmd::bench
