// The command line of `mtmd quantize`, which is llama-quantize's and more.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "mtmd-cli/console.h"
#include "mtmd/quantize/job.h"
#include "quantize/goal.h"

namespace mtmd::cli {

/// IN [OUT] TYPE[,TYPE…] [THREADS], understood.
struct QuantizeRequest {
  std::vector<std::string> inputs;
  std::string output;                            ///< empty: named after type, beside the input
  std::vector<const quantize::FileType*> types;  ///< none when a size or rate is the goal
  int threads = 0;
};

struct QuantizeFlags {
  std::vector<std::string> words;  ///< the positional arguments
  std::string files_from, out_dir, imatrix, output_type, embedding_type, tensor_type_file, prune, max_memory;
  std::vector<std::string> tensor_types, overrides, include, exclude;
  int threads = 0;
  bool null_separated = false, pure = false, leave_output = false, allow_requantize = false, keep_split = false;
  bool best = false, no_provenance = false, no_check = false;
  bool dry_run = false, json = false, force = false, resume = false, skip_existing = false;

  GoalFlags goal;

  void add(CLI::App& app);
  /// Throws Error(usage).
  QuantizeRequest request() const;
  quantize::PlanOptions plan_options() const;  ///< without type and importance
  std::uint64_t memory_limit() const;
  /// Reads --imatrix; empty when there is none.
  quantize::ImportanceWeights importance() const;
  /// Where the result of one input goes.
  std::filesystem::path target(const QuantizeRequest& r, const std::string& input, const quantize::FileType& t) const;
};

}  // namespace mtmd::cli
