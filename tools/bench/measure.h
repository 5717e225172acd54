// Samples of how long something takes.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench/machine.h"

namespace mtmd::bench {

double now() noexcept;  ///< seconds of the steady clock

struct Plan {
  int repetitions = 5;
  int most_warmups = 4;       ///< until two in a row differ by less than `steady`; one is always made
  double steady = 0.05;
  double warmup_seconds = 5;  ///< no further warm-up once they have taken so long
};

/// Every sample in order, those of the warm-up apart, and what the machine did meanwhile.
struct Samples {
  std::vector<double> warmup, seconds;
  Conditions conditions;
};

/// Before each run, warm-up or not, calls `before` (not measured); `body` returns the seconds that count, or a negative
/// number for "all of it".
Samples measure(const Plan& plan, const std::function<void()>& before, const std::function<double()>& body);

/// One line of a report.
struct Result {
  // The model; empty for kernels and ceilings.
  std::string model_filename, model_type, weight_types;
  std::uint64_t model_size = 0, model_n_params = 0;
  // The setting.
  std::string setting, backend = "CPU", isa, type_k, type_v;  ///< setting: which side of --interleave
  int n_threads = 0, n_batch = 0, n_ubatch = 0;
  // The test.
  std::string test;
  int n_prompt = 0, n_gen = 0, n_depth = 0, n_parallel = 1;
  std::string unit = "t/s";
  double amount = 0;  ///< of one sample, in the unit times seconds
  Samples samples;
  /// Whatever else was found out, e.g. {"first_token_ms", 12.5}.
  std::vector<std::pair<std::string, double>> extra;
  std::string limit;  ///< in words, e.g. "94 % of memory read"

  std::vector<double> rates() const;
};

}  // namespace mtmd::bench
