#include "quantize/goal_report.h"

#include <algorithm>
#include <filesystem>

#include "mtmd-cli/output.h"
#include "mtmd/quality/plot.h"

namespace mtmd::cli {
namespace {

double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / 1048576.0; }

std::string row(const GoalPoint& p) {
  const quality::DivergenceReport& d = p.divergence;
  return fmt::format("{:<20} {:>10.2f} {:>7.3f}   {:>9.6f} ± {:<9.6f} {:>9.6f} {:>9.6f} {:>8.2f} %\n", p.name,
                     mib(p.bytes), p.bits, d.kld.value, d.kld.error, d.kld_99, d.kld_max, 100 * d.same_top.value);
}

quality::Series series(std::string name, std::string colour, bool line, const std::vector<GoalPoint>& points,
                       bool labels) {
  quality::Series s{std::move(name), std::move(colour), line, {}};
  for (const GoalPoint& p : points) s.points.push_back({mib(p.bytes), p.divergence.kld.value, labels ? p.name : ""});
  return s;
}

}  // namespace

void show(Console& console, const GoalComparison& c, const std::string& plot) {
  std::string table = fmt::format("{:<20} {:>10} {:>7}   {:>21} {:>9} {:>9} {:>10}\n", "types", "MiB", "bpw",
                                  "KL divergence, mean", "99 %", "max", "same top");
  for (const GoalPoint& p : c.recipes) {
    table += row(p);
    for (const GoalPoint& q : c.chosen)
      if (q.name == "as large as " + p.name) table += row(q);
  }
  for (const GoalPoint& q : c.chosen)
    if (q.name == "asked for") table += row(q);
  console.result(table);
  if (plot.empty()) return;
  const std::string model = std::filesystem::path(c.model).filename().string();
  write_file_atomically(
      plot, quality::svg({model + ": size and divergence",
                          fmt::format("from the unquantised model on {} ({} tokens scored); lower left is better",
                                      std::filesystem::path(c.text).filename().string(),
                                      c.recipes.empty() ? 0 : c.recipes[0].divergence.count),
                          "MiB of weights",
                          "mean KL divergence (nats)",
                          {series("recipes", "#c0392b", true, c.recipes, true),
                           series("chosen by measured error", "#2c6fbb", true, c.chosen, false)}}));
}

}  // namespace mtmd::cli
