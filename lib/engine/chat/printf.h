// The two ways of Python to put values into a string.
#pragma once

#include "engine/chat/runtime.h"

namespace mtmd::chat {

/// "%s and %5.2f" % values. Conversions s r d i u x X o f F e E g G %; flags - + space 0; width and precision up to
/// 1000.
std::string format_percent(Runtime& rt, std::string_view format, const std::vector<Value>& values);

/// "{} {0} {name}".format(…), without format specifications or attributes.
std::string format_braces(Runtime& rt, std::string_view format, const Args& args);

}  // namespace mtmd::chat
