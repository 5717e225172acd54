// Filters, tests, methods and global functions: tables from a name to a function.
#pragma once

#include <string_view>

#include "engine/chat/runtime.h"

namespace mtmd::chat {

using Filter = Value (*)(Runtime&, const Value& input, const Args&);
using Test = bool (*)(Runtime&, const Value& input, const Args&);

Filter find_filter(std::string_view name) noexcept;  ///< null when there is none of that name
Test find_test(std::string_view name) noexcept;

/// A bound method of a string, list or mapping (`x.strip`); undefined when the type has none of that name.
Value find_method(Runtime& rt, const Value& object, std::string_view name);
/// range, namespace, raise_exception, …; undefined when there is none.
Value find_global(Runtime& rt, std::string_view name);

/// Python's strftime for UTC; nothing when the format has a directive that is not supported.
std::optional<std::string> strftime_utc(std::string_view format, std::int64_t unix_time);

}  // namespace mtmd::chat
