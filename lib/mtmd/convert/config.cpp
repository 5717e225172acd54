#include "mtmd/convert/config.h"

#include <cmath>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"

namespace mtmd::convert {

using Json = nlohmann::json;

std::string read_text(const std::filesystem::path& file) {
  const MappedFile mapped(file);
  return {reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()};
}

Config::Config(Json value, std::string where) : value_(std::move(value)), where_(std::move(where)) {}

Config Config::read(const std::filesystem::path& file) {
  Json value = Json::parse(read_text(file), nullptr, false);
  if (!value.is_object()) fail(ErrorCategory::model, "{}: expected a JSON object", file.string());
  return {std::move(value), file.string()};
}

Config Config::read_if_present(const std::filesystem::path& file) {
  return std::filesystem::exists(file) ? read(file) : Config(Json::object(), file.string());
}

const Json* Config::find(const std::string& key) const {
  const auto at = value_.find(key);
  return at == value_.end() || at->is_null() ? nullptr : &*at;
}

void Config::reject(const std::string& key, const std::string& expected) const {
  const Json* found = find(key);
  std::string shown = found ? found->dump() : "missing";
  if (shown.size() > 80) shown = shown.substr(0, 80) + "…";
  fail(ErrorCategory::model, "{}: {} is {}, expected {}", where_, key, shown, expected);
}

Config Config::with_defaults(std::string_view defaults) const {
  Json all = Json::parse(defaults);
  for (const auto& [key, value] : value_.items())
    if (!value.is_null()) all[key] = value;
  return {std::move(all), where_};
}

Config Config::object(const std::string& key) const {
  const Json* value = find(key);
  if (!value || !value->is_object()) reject(key, "an object");
  return {*value, where_ + ": " + key};
}

Config Config::object_or_empty(const std::string& key) const {
  return has(key) ? object(key) : Config(Json::object(), where_ + ": " + key);
}

std::int64_t Config::integer(const std::string& key, std::int64_t low, std::int64_t high) const {
  const Json* value = find(key);
  if (!value || !value->is_number_integer() || value->get<std::int64_t>() < low || value->get<std::int64_t>() > high)
    reject(key, fmt::format("an integer from {} to {}", low, high));
  return value->get<std::int64_t>();
}

std::int64_t Config::integer_or(const std::string& key, std::int64_t low, std::int64_t high,
                                std::int64_t otherwise) const {
  return has(key) ? integer(key, low, high) : otherwise;
}

double Config::number(const std::string& key) const {
  const Json* value = find(key);
  if (!value || !value->is_number() || !std::isfinite(value->get<double>())) reject(key, "a number");
  return value->get<double>();
}

double Config::number_or(const std::string& key, double otherwise) const { return has(key) ? number(key) : otherwise; }

bool Config::flag_or(const std::string& key, bool otherwise) const {
  const Json* value = find(key);
  if (!value) return otherwise;
  if (!value->is_boolean()) reject(key, "true or false");
  return value->get<bool>();
}

std::string Config::text(const std::string& key) const {
  const Json* value = find(key);
  if (!value || !value->is_string()) reject(key, "a text");
  return value->get<std::string>();
}

std::string Config::text_or(const std::string& key, const std::string& otherwise) const {
  return has(key) ? text(key) : otherwise;
}

std::vector<double> Config::numbers(const std::string& key) const {
  const Json* value = find(key);
  if (!value) return {};
  if (!value->is_array()) reject(key, "a list of numbers");
  std::vector<double> result;
  for (const Json& v : *value) {
    if (!v.is_number()) reject(key, "a list of numbers");
    result.push_back(v.get<double>());
  }
  return result;
}

std::vector<std::int64_t> Config::integers(const std::string& key) const {
  std::vector<std::int64_t> result;
  for (const double v : numbers(key)) {
    if (v != std::floor(v) || std::abs(v) > 1e15) reject(key, "a list of integers");
    result.push_back(static_cast<std::int64_t>(v));
  }
  return result;
}

}  // namespace mtmd::convert
