// Private to this folder: a JSON file whose values are asked for by type and range.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mtmd::convert {

/// An object of a JSON file. A value of the wrong type or out of range throws Error(model) with the file, the path of
/// the key, what was found and what was expected. A null counts as missing.
class Config {
 public:
  Config(nlohmann::json value, std::string where);
  /// Throws Error(input) when the file cannot be read, Error(model) when it is no JSON object.
  static Config read(const std::filesystem::path& file);
  /// Empty when the file is not there.
  static Config read_if_present(const std::filesystem::path& file);

  bool has(const std::string& key) const { return find(key) != nullptr; }
  /// Null when the key is missing.
  const nlohmann::json* find(const std::string& key) const;
  /// The same, with what `defaults` says about keys that are missing.
  Config with_defaults(std::string_view defaults) const;
  Config object(const std::string& key) const;  ///< required
  Config object_or_empty(const std::string& key) const;

  std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high) const;
  std::int64_t integer_or(const std::string& key, std::int64_t low, std::int64_t high, std::int64_t otherwise) const;
  double number(const std::string& key) const;
  double number_or(const std::string& key, double otherwise) const;
  bool flag_or(const std::string& key, bool otherwise) const;
  std::string text(const std::string& key) const;
  std::string text_or(const std::string& key, const std::string& otherwise) const;
  std::vector<double> numbers(const std::string& key) const;  ///< empty when missing
  std::vector<std::int64_t> integers(const std::string& key) const;

  const nlohmann::json& json() const noexcept { return value_; }
  const std::string& where() const noexcept { return where_; }
  [[noreturn]] void reject(const std::string& key, const std::string& expected) const;

 private:
  nlohmann::json value_;
  std::string where_;  ///< "folder/config.json" or "folder/config.json: text_config"
};

/// The bytes of a file. Throws Error(input).
std::string read_text(const std::filesystem::path& file);

}  // namespace mtmd::convert
