// Tokens -> syntax tree.
#pragma once

#include "engine/chat/ast.h"

namespace mtmd::chat {

/// Throws Error(model) with the place and the construct that is not understood or not supported.
Body parse_template(std::string_view source, std::string_view name, const Limits& limits);

}  // namespace mtmd::chat
