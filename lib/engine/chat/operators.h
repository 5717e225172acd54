// What Python does with its values: operators, subscripts, iteration.
#pragma once

#include "engine/chat/ast.h"

namespace mtmd::chat {

Value binary(Runtime& rt, Op op, const Value& a, const Value& b);  ///< arithmetic and ~
bool compare(Runtime& rt, Op op, const Value& a, const Value& b);  ///< ==, <, in, …
bool same(Runtime& rt, const Value& a, const Value& b);            ///< ==, charged for
bool contains(Runtime& rt, const Value& container, const Value& item);
Value negative(Runtime& rt, const Value& v);

/// a.name: attributes and methods first, then keys. Missing: undefined; of undefined: an error.
Value attribute(Runtime& rt, const Value& object, std::string_view name);
/// a[key]: keys first, then attributes.
Value item(Runtime& rt, const Value& object, const Value& key);
Value slice(Runtime& rt, const Value& object, const Value* start, const Value* stop, const Value* step);

std::int64_t length(Runtime& rt, const Value& v);
/// The elements of a list, the keys of a mapping, the characters of a string; none of undefined.
std::vector<Value> elements(Runtime& rt, const Value& v);
/// str(v), charged for.
std::string text_of(Runtime& rt, const Value& v);
double to_real(const Value& number);  ///< is_number(number)

}  // namespace mtmd::chat
