// The recipes beside choices of their sizes: a table, a chart.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mtmd-cli/console.h"
#include "mtmd/quality/statistics.h"

namespace mtmd::cli {

struct GoalPoint {
  std::string name;
  std::uint64_t bytes = 0;  ///< of all tensors
  double bits = 0;          ///< per weight
  quality::DivergenceReport divergence;
};

struct GoalComparison {
  std::string model, text;
  std::vector<GoalPoint> recipes = {}, chosen = {};
};

/// The table as a result; the chart into `plot` unless it is empty. Throws Error(output).
void show(Console& console, const GoalComparison& comparison, const std::string& plot);

}  // namespace mtmd::cli
