// Where results go, and how whole files appear at once.
#pragma once

#include <CLI/CLI.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "mtmd-cli/inputs.h"

namespace mtmd::cli {

/// -o, --out-dir, -f, --force, --resume, --skip-existing, --retry-failed
struct OutputFlags {
  std::string file, folder;
  std::vector<std::string> formats;
  bool force = false, resume = false, skip_existing = false, retry_failed = false;
  void add(CLI::App& app, const std::vector<std::string>& known_formats);
  /// Throws Error(usage) for combinations that make no sense, Error(output) when -o exists and may not be replaced.
  void check() const;
};

/// Writes to a temporary name beside `path`, syncs, renames: a reader never sees half a file. Throws Error(output).
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// One result file per item and format in `folder`: NAME.FORMAT, or NAME.EXT.FORMAT, NAME.EXT-2.FORMAT where names
/// collide.
std::vector<std::filesystem::path> result_stems(const std::filesystem::path& folder,
                                                const std::vector<InputFlags::Item>& items);

}  // namespace mtmd::cli
