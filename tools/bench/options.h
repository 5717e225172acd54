// The flags of `mtmd bench`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "bench/ranges.h"
#include "bench/text_runner.h"

namespace mtmd::cli {

struct BenchOptions {
  std::vector<std::string> models, shapes;  ///< files; shapes with random weights
  std::vector<std::string> weight_types = {"Q4_K_M"};
  std::vector<std::string> prompts = {"512"}, generates = {"128"}, pairs, depths = {"0"}, parallel = {"1"};
  std::vector<std::string> threads = {"0"}, batches = {"2048"}, ubatches = {"512"}, cache_k = {"f16"}, cache_v;
  std::vector<std::string> isas = {""};
  std::string flash = "auto", mmproj, encoder_precision = "auto";
  int gpu_layers = 0, mmap = 1;
  int repetitions = 5;
  std::vector<std::string> images, sounds, tokens = {"1,4,16,256"};
  std::string output = "md", compare, plot;
  std::vector<std::string> interleave;
  bool cosine = false, ops = false, ceilings = false, on_request = false, no_limits = false, no_warmup = false;

  void add(CLI::App& app);
  /// Flags that this engine cannot honour are errors.
  void check() const;

  std::vector<bench::Test> tests() const;
  /// Every combination of threads, instruction sets, batch sizes and cache types.
  std::vector<bench::TextOptions> settings() const;
  bench::Plan plan() const;
};

/// All lists of one flag, put together.
std::vector<std::int32_t> counts(const std::vector<std::string>& texts, std::string_view flag, std::int32_t lowest = 0);
std::vector<std::string> words(const std::vector<std::string>& texts, std::string_view flag);

}  // namespace mtmd::cli
