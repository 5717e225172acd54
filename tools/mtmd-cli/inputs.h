// Which items a verb works on.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace mtmd::cli {

/// Positional files, --files-from, --null, --manifest.
struct InputFlags {
  std::vector<std::string> files;
  std::string files_from, manifest;
  bool null_separated = false;
  void add(CLI::App& app, const std::string& what = "pictures");

  struct Item {
    std::string path;    ///< "-" is stdin
    std::string prompt;  ///< of a manifest job; empty: the verb's
  };
  /// In the given order; shell patterns that the shell left alone are expanded here. Throws Error(usage) when there is
  /// nothing.
  std::vector<Item> get() const;
};

}  // namespace mtmd::cli
