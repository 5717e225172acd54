// Samples one at a time, for a program that lets several benchmarks take turns (scripts/compare_llama).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mtmd-cli/console.h"

namespace mtmd::bench {

struct Served {
  std::string name;
  std::int64_t tokens = 0;       ///< processed or made by one sample
  std::function<void()> prepare = [] {};  ///< not measured
  std::function<void()> run;
};

/// Says {"ready": what, "tests": [names], "tokens": [of each]} on stdout, then answers every line of stdin, the index of a test, with
/// {"test": index, "seconds": …}, until stdin ends. Throws Error(usage) for a line that is no index.
void serve_samples(std::string_view what, std::span<const Served> tests, cli::Console& console);

}  // namespace mtmd::bench
