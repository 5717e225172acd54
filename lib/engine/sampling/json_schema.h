// JSON Schema (draft 7, a part of it) as a grammar.
//
// Known: type (one or several of object, array, string, number, integer, boolean, null), properties, required,
// additionalProperties, items, minItems, maxItems, enum, const, anyOf, oneOf, minLength, maxLength, $ref to a place in
// the same schema (#, #/definitions/name, #/$defs/name, ...), true and {} (any value). Annotations (title, description,
// default, examples, $schema, $id, $comment, readOnly, writeOnly, deprecated) are passed over; every other keyword is
// an error, since leaving it out would let wrong values through.
//
// Where the grammar allows less than the schema, so that a model has fewer ways to err (the first two as in llama.cpp):
// properties come in the order of the schema; without additionalProperties only the listed ones are written (an object
// with none listed may have any); additional names have no escapes; white space is a blank or a line end with
// indentation; numbers have at most 16 digits before and after the point and 2 in the exponent. oneOf is taken as
// anyOf.
#pragma once

#include <string>
#include <string_view>

namespace mtmd {

/// GBNF with the rule root. Throws Error(usage): not JSON, a keyword that is not known or wrongly used (naming it and
/// its place), nesting deeper than 200.
std::string json_schema_to_gbnf(std::string_view schema);

}  // namespace mtmd
