#include "mtmd-cli/inputs.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "mtmd-cli/flags.h"

namespace mtmd::cli {
namespace {

/// A pattern that no file bears as its name becomes the files that match it; what matches nothing stays, and is
/// reported as missing when its turn comes.
void expand(const std::string& path, std::vector<InputFlags::Item>& items) {
  std::error_code error;
  if (path.find_first_of("*?[") == path.npos || std::filesystem::exists(path, error)) {
    items.push_back({path, ""});
    return;
  }
  glob_t found{};
  if (::glob(path.c_str(), 0, nullptr, &found) == 0)
    for (std::size_t i = 0; i < found.gl_pathc; ++i) items.push_back({found.gl_pathv[i], ""});
  else
    items.push_back({path, ""});
  ::globfree(&found);
}

void read_list(const std::string& file, char separator, std::vector<InputFlags::Item>& items) {
  const std::string all = read_bytes(file);
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find(separator, at), all.size());
    std::string line = all.substr(at, end - at);
    if (separator == '\n' && line.ends_with('\r')) line.pop_back();
    if (!line.empty()) items.push_back({std::move(line), ""});
    at = end + 1;
  }
}

void read_manifest(const std::string& file, std::vector<InputFlags::Item>& items) {
  const std::string all = read_bytes(file);
  std::size_t number = 0;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find('\n', at), all.size());
    const std::string line = all.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const auto job = nlohmann::json::parse(line, nullptr, false);
    if (!job.is_object() || !job.contains("input") || !job["input"].is_string() ||
        (job.contains("prompt") && !job["prompt"].is_string()))
      fail(ErrorCategory::input, "{}:{}: expected a JSON object {{\"input\": FILE, \"prompt\": TEXT (optional)}}", file,
           number);
    items.push_back({job["input"].get<std::string>(), job.value("prompt", "")});
  }
}

}  // namespace

void InputFlags::add(CLI::App& app, const std::string& what) {
  app.add_option("files", files, what + ", in order; - is stdin")->type_name("FILE");
  app.add_option("--files-from", files_from, "a list of files, one a line (-: stdin)")->type_name("FILE");
  app.add_flag("-0,--null", null_separated, "the list is separated by NUL bytes");
  app.add_option("--manifest", manifest, "JSON lines: {\"input\": FILE, \"prompt\": TEXT}")->type_name("FILE");
}

std::vector<InputFlags::Item> InputFlags::get() const {
  std::vector<Item> items;
  for (const std::string& f : files) expand(f, items);
  if (!files_from.empty()) read_list(files_from, null_separated ? '\0' : '\n', items);
  if (!manifest.empty()) read_manifest(manifest, items);
  if (items.empty()) fail(ErrorCategory::usage, "nothing to read: give files, --files-from or --manifest");
  if (std::ranges::count(items, "-", &Item::path) + (files_from == "-") + (manifest == "-") > 1)
    fail(ErrorCategory::usage, "stdin can be read only once");
  return items;
}

}  // namespace mtmd::cli
