#include "mtmd-cli/output.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "engine/base/error.h"
#include "engine/base/output_file.h"

namespace mtmd::cli {
namespace fs = std::filesystem;

void OutputFlags::add(CLI::App& app, const std::vector<std::string>& known_formats) {
  auto* o = app.add_option("-o,--output", file, "write the result here instead of stdout")->type_name("FILE");
  app.add_option("--out-dir", folder, "one result file per input in this folder")->type_name("DIR")->excludes(o);
  app.add_option("-f,--format", formats,
                 fmt::format("{}; several with --out-dir (-f {})", fmt::join(known_formats, ", "),
                             fmt::join(known_formats.begin(), known_formats.begin() + 2, ",")))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember(known_formats));
  app.add_flag("--force", force, "replace results that exist");
  app.add_flag("--resume", resume, "go on where an earlier run stopped (same content, same settings)");
  app.add_flag("--skip-existing", skip_existing, "leave inputs alone whose result file exists");
  app.add_flag("--retry-failed", retry_failed, "only what the journal records as failed");
}

void OutputFlags::add_whisper_aliases(CLI::App& app) {
  constexpr const char* kGroup = "As in whisper-cli";
  for (const auto& [flag, format] : {std::pair{"--otxt", "txt"},
                                     {"--osrt", "srt"},
                                     {"--ovtt", "vtt"},
                                     {"--otsv", "tsv"},
                                     {"--ocsv", "csv"},
                                     {"--oj", "json"}})
    app.add_flag_callback(
           flag,
           [this, name = std::string(format)] {
             beside_ = true;
             if (std::ranges::find(formats, name) == formats.end()) formats.push_back(name);
           },
           fmt::format("write INPUT.{0} (with -of: BASE.{0})", format))
        ->group(kGroup);
  app.add_option("--of", stem, "result files are BASE.FORMAT")
      ->type_name("BASE")
      ->group(kGroup)
      ->excludes(app.get_option("--output"))
      ->excludes(app.get_option("--out-dir"));
}

void OutputFlags::check() const {
  const bool files = !folder.empty() || !stem.empty() || (beside_ && file.empty());
  if (formats.size() > 1 && !files) fail(ErrorCategory::usage, "several formats need --out-dir");
  if ((resume || retry_failed) && journal().empty())
    fail(ErrorCategory::usage, "--resume and --retry-failed need -o or --out-dir: the journal lies beside the result");
  if (skip_existing && !files) fail(ErrorCategory::usage, "--skip-existing needs --out-dir");
  if (!file.empty() && fs::exists(file) && !force && !resume && !retry_failed)
    fail(ErrorCategory::output, "{}: exists already; --force replaces it, --resume goes on", file);
}

fs::path OutputFlags::journal() const {
  if (!folder.empty()) return fs::path(folder) / "mtmd-journal.jsonl";
  const std::string& name = file.empty() ? stem : file;
  return name.empty() ? "" : name + ".journal";
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  OutputFile file(path);
  file.write(std::as_bytes(std::span(content)));
  file.commit();
}

namespace {

/// NAME, or NAME.EXT, NAME.EXT-2 where names collide.
std::vector<fs::path> stems_in(const fs::path& folder, const std::vector<InputFlags::Item>& items) {
  const auto stem_of = [](const InputFlags::Item& i) {
    return i.path == "-" ? std::string("stdin") : fs::path(i.path).stem().string();
  };
  std::map<std::string, int> times;
  for (const auto& item : items) ++times[stem_of(item)];
  std::set<std::string> taken;
  std::vector<fs::path> stems;
  for (const auto& item : items) {
    std::string stem = stem_of(item);
    if (times[stem] > 1 && item.path != "-") stem = fs::path(item.path).filename().string();
    std::string unique = stem;
    for (int n = 2; !taken.insert(unique).second; ++n) unique = stem + "-" + std::to_string(n);
    stems.push_back(folder / unique);
  }
  return stems;
}

}  // namespace

std::vector<fs::path> OutputFlags::stems(const std::vector<InputFlags::Item>& items) const {
  if (!folder.empty()) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) fail(ErrorCategory::output, "--out-dir {}: cannot make the folder: {}", folder, error.message());
    return stems_in(folder, items);
  }
  if (!stem.empty()) {
    if (items.size() > 1)
      fail(ErrorCategory::usage, "-of {}: one name for {} inputs; --out-dir names each", stem, items.size());
    return {stem};
  }
  std::vector<fs::path> stems;
  if (beside_ && file.empty())
    for (const auto& item : items) {
      if (item.path == "-") fail(ErrorCategory::usage, "-: what comes from stdin has no name for its result; give -of");
      stems.emplace_back(item.path);
    }
  return stems;
}

}  // namespace mtmd::cli
