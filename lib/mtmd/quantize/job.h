// Quantises a model, into several types at once: one pass over the source, rows of any tensor in parallel.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "mtmd/quantize/plan.h"

namespace mtmd::quantize {

struct Target {
  const Plan* plan = nullptr;
  std::filesystem::path path;  ///< of a split plan: NAME.gguf, its parts are NAME-00001-of-0000N.gguf
};

struct JobOptions {
  int threads = 0;               ///< 0: one per core
  std::uint64_t max_memory = 0;  ///< bytes for buffers; 0: what is quickest
  bool resume = false;           ///< go on where a killed job with the same plan stopped
  const std::atomic<bool>* cancel = nullptr;
  /// Called from any one worker at a time, some times a second: source bytes done and their total.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};
  /// Looks at a complete file of one part before it gets its name; what it throws is the job's failure.
  std::function<void(const Plan& plan, const std::filesystem::path& file)> check = {};
};

struct JobReport {
  double seconds = 0;
  std::uint64_t source_bytes = 0, written_bytes = 0, memory = 0;  ///< memory: of the buffers
  std::size_t n_resumed = 0;                                      ///< tensors that an earlier run had completed
  std::vector<std::string> warnings;
};

/// Files appear under their names complete or not at all. Throws Error(usage) when a target is one of the source's own
/// files, Error(input) when the source cannot be read, Error(model) for values that cannot be stored, Error(output)
/// when the disk is full or read-only, Error(resource) when max_memory is too little, Error(interrupted).
JobReport run_job(const gguf::File& file, std::span<const Target> targets, const JobOptions& options = {});

/// The same into memory: a file of one part, planned without provenance. The source is read through its mapping.
std::vector<std::byte> to_memory(const gguf::File& file, const Plan& plan, int threads = 0);

/// The files that a target will consist of.
std::vector<std::filesystem::path> target_files(const Target& target);

/// How a job spends memory.
struct Budget {
  int workers = 1;
  std::int64_t chunk_values = 0;  ///< per piece of work, at least one row
  std::uint64_t bytes = 0;        ///< all buffers together
};
/// Throws Error(resource), saying how much would do.
Budget memory_budget(std::span<const Plan* const> plans, int threads, std::uint64_t max_memory);

}  // namespace mtmd::quantize
