// The recorded language models: those copied into tests/data, and the whole kit when it is there.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "mtmd/conformance/text_golden.h"

namespace mtmd::test {

inline std::vector<std::filesystem::path> goldens_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing))
    if (entry.path().filename().string().ends_with(".golden.gguf")) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

inline std::filesystem::path data(const std::string& name) {
  return std::filesystem::path(MTMD_TEST_DATA) / "text" / name;
}
inline std::filesystem::path kit() { return std::filesystem::path(MTMD_CONFORMANCE) / "text"; }

/// "qwen2vl.grid.golden.gguf" -> "qwen2vl_grid", as GoogleTest wants names.
inline std::string case_name(const std::filesystem::path& golden) {
  std::string name = golden.filename().string();
  name.resize(name.size() - std::string(".golden.gguf").size());
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
}

inline bool is_supported(const gguf::File& model) {
  const auto all = decoder::architectures();
  return std::find(all.begin(), all.end(), model.metadata().require<std::string_view>("general.architecture")) !=
         all.end();
}

}  // namespace mtmd::test
