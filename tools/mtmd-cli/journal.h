// What a batch has finished, one JSON line per item beside the output, so that a killed run can go on.
#pragma once

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace mtmd::cli {

/// Keyed by content hash + settings hash, so that a renamed file is recognised and a changed one, or other settings,
/// are not.
class Journal {
 public:
  /// Reads what is there when `keep_old` (a torn last line, left by a kill, is dropped) and opens for appending.
  /// Throws Error(output).
  Journal(std::filesystem::path path, bool keep_old);

  const nlohmann::ordered_json* find(const std::string& key) const;        ///< the item's record
  void add(const std::string& key, const nlohmann::ordered_json& record);  ///< appends and syncs
  void remove();  ///< the run is complete and its result stands alone

 private:
  std::filesystem::path path_;
  std::map<std::string, nlohmann::ordered_json> records_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

}  // namespace mtmd::cli
