// Walks the syntax tree.
#pragma once

#include "engine/chat/ast.h"

namespace mtmd::chat {

/// Renders with the variables of `context`.
std::string interpret(const Body& body, Runtime& rt, const Value& context);

}  // namespace mtmd::chat
