#include "mtmd-cli/output.h"

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
  app.add_option("-f,--format", formats, "txt, md, json, jsonl; several with --out-dir (-f txt,json)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember(known_formats));
  app.add_flag("--force", force, "replace results that exist");
  app.add_flag("--resume", resume, "go on where an earlier run stopped (same content, same settings)");
  app.add_flag("--skip-existing", skip_existing, "leave inputs alone whose result file exists");
  app.add_flag("--retry-failed", retry_failed, "only what the journal records as failed");
}

void OutputFlags::check() const {
  if (formats.size() > 1 && folder.empty()) fail(ErrorCategory::usage, "several formats need --out-dir");
  if ((resume || retry_failed) && file.empty() && folder.empty())
    fail(ErrorCategory::usage, "--resume and --retry-failed need -o or --out-dir: the journal lies beside the result");
  if (skip_existing && folder.empty()) fail(ErrorCategory::usage, "--skip-existing needs --out-dir");
  if (!file.empty() && fs::exists(file) && !force && !resume && !retry_failed)
    fail(ErrorCategory::output, "{}: exists already; --force replaces it, --resume goes on", file);
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  OutputFile file(path);
  file.write(std::as_bytes(std::span(content)));
  file.commit();
}

std::vector<fs::path> result_stems(const fs::path& folder, const std::vector<InputFlags::Item>& items) {
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

}  // namespace mtmd::cli
