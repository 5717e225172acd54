// mtmd conformance: recorded results of the reference implementation against this build.
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/signals.h"
#include "mtmd-cli/verb.h"
#include "mtmd/conformance/conformance.h"

namespace mtmd::cli {
namespace {

std::string_view word(conformance::Outcome outcome) {
  switch (outcome) {
    case conformance::Outcome::passed:
      return "pass";
    case conformance::Outcome::failed:
      return "FAIL";
    case conformance::Outcome::unsupported:
      return "not supported";
  }
  return "";
}

struct ConformanceCommand {
  std::vector<std::string> paths;
  std::string device = "cpu";
  int threads = 0;
  bool json = false, failures_only = false;

  void run(Console& console) const {
    const auto dev = make_device(device, {.threads = threads});
    std::array<std::size_t, 3> totals{};
    const auto show = [&](const conformance::Result& r) {
      if (cancel_flag()) fail(ErrorCategory::interrupted, "interrupted");
      ++totals[static_cast<std::size_t>(r.outcome)];
      if (failures_only && r.outcome == conformance::Outcome::passed) return;
      console.result(json ? json_line(r) : text_line(r));
      console.flush_result();
    };
    for (const std::string& path : paths) conformance::run_all(path, *dev, show);
    const auto [passed, failed, unsupported] = totals;
    if (passed + failed + unsupported == 0)
      fail(ErrorCategory::input, "no recorded cases were found under {}", fmt::join(paths, ", "));
    console.result(json ? dump({{"passed", passed}, {"failed", failed}, {"unsupported", unsupported}}) + "\n"
                        : fmt::format("{} passed, {} failed, {} not supported\n", passed, failed, unsupported));
    console.status = failed > 0 ? 1 : unsupported > 0 ? 3 : 0;
  }

  static std::string text_line(const conformance::Result& r) {
    const std::string numbers =
        r.tolerance > 0 || r.difference > 0 ? fmt::format("  {:.3g} of {:.3g}", r.difference, r.tolerance) : "";
    return fmt::format("{:<13} {:<9} {}: {}{}{}\n", word(r.outcome), r.kind, r.name, r.compared, numbers,
                       r.detail.empty() ? "" : "  (" + r.detail + ")");
  }

  static std::string json_line(const conformance::Result& r) {
    const auto number = [](double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); };
    return dump({{"kind", r.kind},
                 {"name", r.name},
                 {"compared", r.compared},
                 {"outcome", word(r.outcome)},
                 {"difference", number(r.difference)},
                 {"tolerance", number(r.tolerance)},
                 {"detail", r.detail}}) +
           "\n";
  }
};

}  // namespace

void add_conformance(CLI::App& app, Console& console) {
  auto command = std::make_shared<ConformanceCommand>();
  auto* sub = app.add_subcommand("conformance", "check this build against recorded results");
  sub->footer(
      "Examples:\n  mtmd conformance tests/data\n  mtmd conformance ../shared/conformance --json > report.jsonl\nExit "
      "status: 1 when a case fails, 3 when some are not supported.");
  sub->add_option("paths", command->paths, "folders or single recorded cases")->required()->type_name("PATH");
  sub->add_option("--dev,--device", command->device, "cpu or reference");
  sub->add_option("-t,--threads", command->threads);
  sub->add_flag("--json", command->json, "JSON lines");
  sub->add_flag("--failures", command->failures_only, "leave out what passed");
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace mtmd::cli
