// Rates as a chart: one panel for every dimension with several values (depth, sequences, threads, prompt length), prompts
// and generation apart; bars where nothing varies.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/measure.h"

namespace mtmd::bench {

/// A complete SVG document without scripts or fonts of its own; texts are escaped. `title` stands above everything.
std::string plot(std::span<const Result> results, const std::string& title);

/// Round steps from 0 to at least `highest`, five to ten of them.
std::vector<double> ticks(double highest);

}  // namespace mtmd::bench
