// The filters, in groups; builtins.cpp puts the tables together.
#pragma once

#include <span>

#include "engine/chat/builtins.h"

namespace mtmd::chat {

struct NamedFilter {
  std::string_view name;
  Filter filter;
};
std::span<const NamedFilter> text_filters() noexcept;
std::span<const NamedFilter> sequence_filters() noexcept;
std::span<const NamedFilter> value_filters() noexcept;

/// Follows "a.b.0" or an integer from `object`; `otherwise` (may be null) replaces what is missing.
Value follow(Runtime& rt, const Value& object, const Value& path, const Value* otherwise = nullptr);

}  // namespace mtmd::chat
