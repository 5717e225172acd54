// Samples one at a time, for a program that lets several benchmarks take turns (scripts/compare_llama).
#pragma once

#include <span>

#include "bench/text_runner.h"
#include "mtmd-cli/console.h"

namespace mtmd::bench {

/// Says {"ready": …, "tests": [names]} on stdout, then answers every line of stdin, the index of a test, with
/// {"test": index, "seconds": …}, until stdin ends. Throws Error(usage) for a line that is no index.
void serve_samples(TextRunner& runner, std::span<const Test> tests, cli::Console& console);

}  // namespace mtmd::bench
