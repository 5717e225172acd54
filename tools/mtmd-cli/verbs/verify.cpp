// mtmd verify: reads every tensor and says what cannot be right.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/base/error.h"
#include "engine/gguf/verify.h"
#include "mtmd-cli/progress.h"
#include "mtmd-cli/record.h"
#include "mtmd-cli/signals.h"
#include "mtmd-cli/verb.h"

namespace mtmd::cli {
namespace {

struct VerifyCommand {
  std::vector<std::string> files;
  bool json = false;

  void run(Console& console) const {
    for (const std::string& file : files) {
      const gguf::Verification v = check(console, file);
      if (!v.complete) fail(ErrorCategory::interrupted, "{}: interrupted", file);
      console.result(json ? json_line(file, v) : text(file, v));
      if (!v.sound()) console.status = exit_code(ErrorCategory::model);
    }
  }

  static gguf::Verification check(Console& console, const std::string& file) {
    gguf::VerifyOptions options;
    options.n_threads = std::max(1u, std::thread::hardware_concurrency());
    const bool bar = console.progress == ProgressMode::automatic;
    options.progress = [&](std::uint64_t done, std::uint64_t total) {
      if (bar) console.status_line(fmt::format("{}: {} of {} MB", file, done / 1'000'000, total / 1'000'000));
      return !cancel_flag();
    };
    auto result = gguf::verify(file, options);
    console.status_line("");
    return result;
  }

  static std::string text(const std::string& file, const gguf::Verification& v) {
    if (v.sound())
      return fmt::format("{}: sound: {} tensors, {} values, {} bytes\n", file, v.n_tensors, v.n_values, v.n_bytes);
    std::string out;
    for (const gguf::Finding& f : v.findings) {
      out += file;
      if (!f.tensor.empty()) out += ": " + f.tensor;
      if (f.row >= 0) out += fmt::format(" row {} block {}", f.row, f.block);
      out += ": " + f.what + "\n";
    }
    if (v.n_bad_blocks > 0) out += fmt::format("{}: {} bad blocks in all\n", file, v.n_bad_blocks);
    return out;
  }

  static std::string json_line(const std::string& file, const gguf::Verification& v) {
    Json findings = Json::array();
    for (const gguf::Finding& f : v.findings)
      findings.push_back({{"tensor", f.tensor}, {"row", f.row}, {"block", f.block}, {"what", f.what}});
    return dump({{"file", file},
                 {"sound", v.sound()},
                 {"tensors", v.n_tensors},
                 {"values", v.n_values},
                 {"bytes", v.n_bytes},
                 {"bad_blocks", v.n_bad_blocks},
                 {"findings", findings}}) +
           "\n";
  }
};

}  // namespace

void add_verify(CLI::App& app, Console& console) {
  auto command = std::make_shared<VerifyCommand>();
  auto* sub =
      app.add_subcommand("verify", "read all tensors of model files: NaN, infinities, bad block scales, truncation");
  sub->footer(
      "Examples:\n  mtmd verify model.gguf\n  mtmd verify --json models/*.gguf\nExit status: 5 when something is "
      "wrong.");
  sub->add_option("files", command->files, "model files")->required()->type_name("FILE");
  sub->add_flag("--json", command->json, "JSON lines");
  sub->callback([command, &console] { command->run(console); });
}

}  // namespace mtmd::cli
