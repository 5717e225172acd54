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
  std::string file, folder, stem;
  std::vector<std::string> formats;
  bool force = false, resume = false, skip_existing = false, retry_failed = false;
  void add(CLI::App& app, const std::vector<std::string>& known_formats);
  /// -osrt, -ovtt … and -of as in whisper-cli. Without -of, -o or --out-dir such files lie beside their inputs.
  void add_whisper_aliases(CLI::App& app);
  /// Throws Error(usage) for combinations that make no sense, Error(output) when -o exists and may not be replaced.
  void check() const;

  /// Result files without ".FORMAT", one per item; empty where all results go to -o or stdout. Makes --out-dir.
  std::vector<std::filesystem::path> stems(const std::vector<InputFlags::Item>& items) const;
  /// Where the journal lies; empty: nowhere.
  std::filesystem::path journal() const;

 private:
  bool beside_ = false;
};

/// Writes to a temporary name beside `path`, syncs, renames: a reader never sees half a file. Throws Error(output).
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

}  // namespace mtmd::cli
