#include "mtmd/convert/checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/base/error.h"
#include "mtmd/convert/config.h"

namespace mtmd::convert {
namespace {

namespace fs = std::filesystem;

/// Names from an index stay inside the folder: they come from a stranger.
std::set<std::string> shard_names(const fs::path& index) {
  const Config config = Config::read(index);
  const Config map = config.object("weight_map");
  std::set<std::string> names;
  for (const auto& [tensor, file] : map.json().items()) {
    if (!file.is_string()) map.reject(tensor, "the name of a file");
    const fs::path name = file.get<std::string>();
    if (name.empty() || name.has_parent_path() || name.is_absolute() || name == "..")
      map.reject(tensor, "the name of a file in the same folder");
    names.insert(name.string());
  }
  return names;
}

}  // namespace

Checkpoint::Checkpoint(const fs::path& folder) : folder_(folder.string()) {
  const fs::path index = folder / "model.safetensors.index.json";
  if (fs::exists(index)) {
    for (const std::string& name : shard_names(index)) files_.emplace_back(folder / name);
  } else {
    if (!fs::exists(folder / "model.safetensors"))
      fail(ErrorCategory::input, "{}: neither model.safetensors nor model.safetensors.index.json is there", folder_);
    files_.emplace_back(folder / "model.safetensors");
  }
  for (const Safetensors& file : files_)
    for (const StoredTensor& t : file.tensors())
      if (!by_name_.emplace(t.name, &t).second)
        fail(ErrorCategory::model, "{}: tensor '{}' is stored twice", folder_, t.name);
}

const StoredTensor* Checkpoint::find(const std::string& name) const {
  const auto at = by_name_.find(name);
  if (at == by_name_.end()) return nullptr;
  used_.insert(name);
  return at->second;
}

const StoredTensor& Checkpoint::require(const std::string& name) const {
  const StoredTensor* tensor = find(name);
  if (!tensor) fail(ErrorCategory::model, "{}: no tensor '{}'", folder_, name);
  return *tensor;
}

std::string Checkpoint::prefix_of(const std::vector<std::string>& prefixes, const std::string& name) const {
  for (const std::string& prefix : prefixes)
    if (has(prefix + name)) return prefix;
  fail(ErrorCategory::model, "{}: no tensor '{}' behind any of '{}'", folder_, name, fmt::join(prefixes, "', '"));
}

std::vector<std::string> Checkpoint::unused() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : by_name_)
    if (used_.count(name) == 0) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

DType Checkpoint::common_type() const {
  std::map<DType, std::size_t> bytes;
  for (const auto& [name, tensor] : by_name_) bytes[tensor->type] += tensor->data.size();
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? DType::F32 : most->first;
}

}  // namespace mtmd::convert
