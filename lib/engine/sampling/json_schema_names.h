#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mtmd::json_schema {

/// GBNF text that matches exactly these bytes (UTF-8).
std::string literal(std::string_view text);

/// An item for JSON strings without escapes that differ from all `names`. `new_rule` stores a rule and names it.
std::string key_other_than(const std::vector<std::string>& names,
                           const std::function<std::string(const std::string&)>& new_rule);

}  // namespace mtmd::json_schema
