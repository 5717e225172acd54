// Private to this folder: the tensors of a checkpoint, wherever they lie.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "mtmd/convert/safetensors.h"

namespace mtmd::convert {

class Checkpoint {
 public:
  /// model.safetensors, or the files that model.safetensors.index.json names.
  explicit Checkpoint(const std::filesystem::path& folder);

  /// Null when there is none. What was found once counts as used.
  const StoredTensor* find(const std::string& name) const;
  const StoredTensor& require(const std::string& name) const;  ///< throws Error(model)
  bool has(const std::string& name) const { return by_name_.count(name) != 0; }
  /// The first of `prefixes` with which `name` exists; throws Error(model) naming all that were tried.
  std::string prefix_of(const std::vector<std::string>& prefixes, const std::string& name) const;
  /// Nobody asked for these; sorted.
  std::vector<std::string> unused() const;
  const std::string& folder() const noexcept { return folder_; }
  /// The type of most values.
  DType common_type() const;

 private:
  std::string folder_;
  std::vector<Safetensors> files_;
  std::unordered_map<std::string, const StoredTensor*> by_name_;
  mutable std::unordered_set<std::string> used_;
};

}  // namespace mtmd::convert
