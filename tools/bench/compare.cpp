#include "bench/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace mtmd::bench {
namespace {

/// What must be equal for two records to be comparable. Not the instruction set or the commit: those are what people
/// compare.
std::string key_of(const Json& r) {
  std::string key;
  for (const char* field : {"test", "n_threads", "type_k", "type_v", "n_batch", "n_ubatch", "setting"})
    key += r.contains(field) ? r[field].dump() + " " : " ";
  // The same file may lie elsewhere on another machine.
  return std::filesystem::path(r.value("model_filename", "")).filename().string() + " " + key;
}

std::string name_of(const Json& r) {
  const std::string model = std::filesystem::path(r.value("model_filename", "")).filename();
  std::string name = fmt::format("{}{}{}", model, model.empty() ? "" : " ", r.value("test", ""));
  if (r.contains("n_threads")) name += fmt::format(", {} threads", r.value("n_threads", 0));
  return name;
}

}  // namespace

std::vector<Comparison> compare(std::span<const Json> first, std::span<const Json> second) {
  std::vector<Comparison> list;
  for (const Json& b : second) {
    const auto a = std::ranges::find_if(first, [&](const Json& r) { return key_of(r) == key_of(b); });
    if (a == first.end()) continue;
    const auto old_rates = (*a)["samples_ts"].get<std::vector<double>>();
    const auto new_rates = b["samples_ts"].get<std::vector<double>>();
    Comparison c{name_of(b), median(old_rates), median(new_rates), ratio_of_medians(old_rates, new_rates), {}};
    c.verdict = verdict(c.ratio);
    list.push_back(std::move(c));
  }
  if (list.empty())
    fail(ErrorCategory::input,
         "bench --compare: no test of the old results was run now; give the same model, tests and threads");
  return list;
}

Comparison compare_pairs(std::string name, std::span<const double> first, std::span<const double> second) {
  Comparison c{std::move(name), median(first), median(second), ratio_of_pairs(first, second), {}};
  c.verdict = verdict(c.ratio);
  return c;
}

std::string markdown(std::span<const Comparison> comparisons, std::string_view first, std::string_view second) {
  std::string text = fmt::format("| test | {} | {} | ratio | 95 % interval | verdict |\n| --- | ---: | ---: | ---: | --- | --- |\n",
                                 first, second);
  for (const Comparison& c : comparisons) {
    const Interval& i = c.ratio.interval;
    const std::string interval = i.confidence == 0 ? std::string("too few samples")
                                 : i.confidence < 0.95
                                     ? fmt::format("{:.3f} to {:.3f} (covers {:.0f} %)", i.low, i.high, 100 * i.confidence)
                                     : fmt::format("{:.3f} to {:.3f}", i.low, i.high);
    text += fmt::format("| {} | {:.2f} | {:.2f} | {:.3f} | {} | {} |\n", c.name, c.first, c.second, c.ratio.value, interval,
                        mtmd::bench::text(c.verdict));
  }
  return text;
}

bool any_slower(std::span<const Comparison> comparisons) noexcept {
  return std::ranges::any_of(comparisons, [](const Comparison& c) { return c.verdict == Verdict::slower; });
}

}  // namespace mtmd::bench
