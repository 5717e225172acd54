// A language model and its cache, fed with random tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/device/device.h"
#include "engine/gguf/gguf.h"
#include "engine/kv/cache.h"

namespace mtmd::bench {

/// One line of the table, named as llama-bench does: pp512, tg128, with "@ d4096" when the cache was filled before.
struct Test {
  std::int32_t prompt = 0;     ///< tokens of a prompt, or 0
  std::int32_t generate = 0;   ///< tokens one by one, or 0; after the prompt when both are given
  std::int32_t depth = 0;      ///< tokens of each sequence in the cache beforehand
  std::int32_t sequences = 1;  ///< generated side by side, each with its own prompt and its own depth

  std::string name() const;
  std::int64_t tokens() const noexcept { return std::int64_t{sequences} * (std::int64_t{prompt} + generate); }
};

struct TextOptions {
  int threads = 0;
  std::string isa;              ///< as DeviceOptions
  std::int32_t batch = 2048;    ///< tokens of a prompt handed over at once
  std::int32_t ubatch = 512;    ///< rows computed at once
  DType cache_type = DType::F16;
};

class TextRunner {
 public:
  /// Room for all of `tests`. `file` must outlive the runner. Throws Error(model) for a file that is no language model,
  /// Error(resource) when the cache does not fit.
  TextRunner(const gguf::File& file, const TextOptions& options, std::span<const Test> tests);

  /// Puts the cache into the state that `test` starts from. Prefixes are computed once and shared from then on.
  void prepare(const Test& test);
  /// What is measured. Returns the seconds until the first logits are there.
  double run(const Test& test);

  Device& device() noexcept { return *device_; }
  const decoder::Decoder& decoder() const noexcept { return decoder_; }
  const kv::Cache& cache() const noexcept { return cache_; }

 private:
  std::int32_t token();
  void feed(kv::SequenceId sequence, std::int32_t n);
  void step(std::int32_t sequences);

  std::int32_t n_slots_, n_batch_;
  std::vector<std::int32_t> deepest_;  // [slots] tokens that the prefix of each slot has when it is complete
  std::unique_ptr<Device> device_;
  decoder::Decoder decoder_;
  kv::Cache cache_;
  decoder::Batch batch_;
  std::vector<std::int32_t> ids_;
  std::mt19937 random_{1};
};

}  // namespace mtmd::bench
