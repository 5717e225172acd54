#include "engine/sampling/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "engine/base/error.h"
#include "engine/sampling/grammar.h"
#include "engine/sampling/json_schema_names.h"

namespace mtmd {
namespace {

using Json = nlohmann::ordered_json;
using json_schema::key_other_than;
using json_schema::literal;

constexpr int kMaxDepth = 200;

constexpr const char* kCommonRules = R"(ws ::= ( " " | "\n" [ \t]{0,20} )?
char ::= [^"\\\x00-\x1F\x7F] | "\\" escape
escape ::= ["\\/bfnrt] | "u" ( [0-9a-cA-CeEfF] hex{3} | [dD] [0-7] hex{2} )
hex ::= [0-9a-fA-F]
plain ::= [^"\\\x00-\x1F\x7F]
string ::= "\"" char* "\""
integer ::= "-"? ( "0" | [1-9] [0-9]{0,15} )
number ::= integer ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,2} )?
boolean ::= "true" | "false"
null ::= "null"
value ::= object | array | string | number | boolean | null
object ::= "{" ws ( string ws ":" ws value ws ( "," ws string ws ":" ws value ws )* )? "}"
array ::= "[" ws ( value ws ( "," ws value ws )* )? "]"
)";

constexpr const char* kTypes[] = {"object", "array", "string", "number", "integer", "boolean", "null"};

/// A keyword and the type that it says something about ("": none in particular, "-": an annotation).
struct Keyword {
  const char *name, *type;
};
constexpr Keyword kKeywords[] = {
    {"type", ""},
    {"enum", ""},
    {"const", ""},
    {"anyOf", ""},
    {"oneOf", ""},
    {"$ref", ""},
    {"definitions", "-"},
    {"$defs", "-"},
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"items", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"title", "-"},
    {"description", "-"},
    {"default", "-"},
    {"examples", "-"},
    {"$schema", "-"},
    {"$id", "-"},
    {"$comment", "-"},
    {"readOnly", "-"},
    {"writeOnly", "-"},
    {"deprecated", "-"},
};

const Keyword* known(std::string_view name) {
  const auto* it =
      std::find_if(std::begin(kKeywords), std::end(kKeywords), [&](const Keyword& k) { return name == k.name; });
  return it == std::end(kKeywords) ? nullptr : it;
}

class Converter {
 public:
  explicit Converter(const Json& root) : root_(root) {}

  std::string run() {
    const std::string start = reference("#", "#");
    std::string text = fmt::format("root ::= {}\n", start);
    for (const std::string& r : rules_) text += r;
    return text + kCommonRules;
  }

 private:
  template <class... Args>
  [[noreturn]] static void error(const std::string& at, fmt::format_string<Args...> format, Args&&... args) {
    fail(ErrorCategory::usage, "JSON schema: {}: {}", at, fmt::format(format, std::forward<Args>(args)...));
  }

  std::string new_rule(const std::string& body) {
    std::string name = fmt::format("s{}", n_rules_++);
    size_ += body.size() + 16;
    if (size_ > Grammar::kMaxText)
      fail(ErrorCategory::usage, "JSON schema: its grammar is larger than the limit of {} bytes", Grammar::kMaxText);
    rules_.push_back(fmt::format("{} ::= {}\n", name, body));
    return name;
  }

  /// An item of the grammar (one rule name or a group) for the schema at `at`.
  std::string convert(const Json& schema, const std::string& at) {
    if (depth_ >= kMaxDepth) error(at, "nested deeper than {}", kMaxDepth);
    ++depth_;
    std::string item = schema.is_boolean() ? of_boolean(schema, at) : of_object(schema, at);
    --depth_;
    return item;
  }

  static std::string of_boolean(const Json& schema, const std::string& at) {
    if (!schema.get<bool>()) error(at, "the schema false allows nothing to be written");
    return "value";
  }

  std::string of_object(const Json& schema, const std::string& at) {
    if (!schema.is_object()) error(at, "a schema is an object, true or false, not {}", schema.dump().substr(0, 40));
    for (const auto& [name, value] : schema.items())
      if (!known(name)) error(at, "the keyword {} is not supported", name);
    if (schema.contains("$ref")) return of_reference(schema, at);
    for (const char* any : {"anyOf", "oneOf"})
      if (schema.contains(any)) return of_alternatives(schema, any, at);
    const std::vector<std::string> types = types_of(schema, at);
    if (schema.contains("enum") || schema.contains("const")) return of_values(schema, types, at);
    if (types.empty()) return "value";
    std::vector<std::string> alternatives;
    for (const std::string& type : types) alternatives.push_back(of_type(schema, type, at));
    return either(alternatives);
  }

  std::string either(const std::vector<std::string>& alternatives) {
    return alternatives.size() == 1 ? alternatives.front()
                                    : new_rule(fmt::format("{}", fmt::join(alternatives, " | ")));
  }

  /// Beside what stands for the whole value nothing else can be kept to.
  static void require_alone(const Json& schema, const char* keyword, const std::string& at) {
    for (const auto& [name, value] : schema.items())
      if (name != keyword && std::string_view(known(name)->type) != "-")
        error(at, "the keyword {} beside {} is not supported; put it inside", name, keyword);
  }

  std::string of_alternatives(const Json& schema, const char* keyword, const std::string& at) {
    require_alone(schema, keyword, at);
    const Json& list = schema[keyword];
    if (!list.is_array() || list.empty()) error(at, "{} must be a list of schemas", keyword);
    std::vector<std::string> alternatives;
    for (std::size_t i = 0; i < list.size(); ++i)
      alternatives.push_back(convert(list[i], fmt::format("{}/{}/{}", at, keyword, i)));
    return either(alternatives);
  }

  std::string of_reference(const Json& schema, const std::string& at) {
    require_alone(schema, "$ref", at);
    if (!schema["$ref"].is_string()) error(at, "$ref must be a text");
    return reference(schema["$ref"].get<std::string>(), at);
  }

  /// One rule per place, made when first asked for, so that schemas may refer to themselves.
  std::string reference(const std::string& target, const std::string& at) {
    if (const auto found = references_.find(target); found != references_.end()) {
      if (found->second.open_depth == object_depth_ && found->second.open)
        error(at, "$ref {} comes back to itself without an object or an array in between", target);
      return found->second.name;
    }
    const Json* place = nullptr;
    try {
      if (target.starts_with("#")) {
        const Json::json_pointer pointer(target.substr(1));
        if (root_.contains(pointer)) place = &root_.at(pointer);
      }
    } catch (const Json::exception&) {
      place = nullptr;
    }
    if (!place) error(at, "$ref {}: there is no such place in this schema (only #/... is supported)", target);
    Reference& made = references_[target];
    made = {.name = fmt::format("s{}", n_rules_++), .open = true, .open_depth = object_depth_};
    const std::string item = convert(*place, target);
    made.open = false;
    rules_.push_back(fmt::format("{} ::= {}\n", made.name, item));
    size_ += item.size() + 16;
    return made.name;
  }

  static std::vector<std::string> types_of(const Json& schema, const std::string& at) {
    std::vector<std::string> types;
    if (const auto type = schema.find("type"); type != schema.end()) {
      const Json list = type->is_array() ? *type : Json::array({*type});
      for (const Json& t : list) {
        const bool good =
            t.is_string() && std::find(std::begin(kTypes), std::end(kTypes), t.get<std::string>()) != std::end(kTypes);
        if (!good) error(at, "type {} is not known; known are {}", t.dump().substr(0, 40), fmt::join(kTypes, ", "));
        types.push_back(t.get<std::string>());
      }
      if (types.empty()) error(at, "type is an empty list");
      return types;
    }
    for (const auto& [name, value] : schema.items()) {
      const std::string type = known(name)->type;
      if (type.size() < 2) continue;
      if (!types.empty() && types.front() != type)
        error(at, "{} is about another type than the keywords before; add type", name);
      types = {type};
    }
    return types;
  }

  static bool is_of_type(const Json& value, const std::string& type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "null") return value.is_null();
    if (type == "number") return value.is_number();
    return value.is_number_integer() ||
           (value.is_number_float() && value.get<double>() == std::floor(value.get<double>()));
  }

  std::string of_values(const Json& schema, const std::vector<std::string>& types, const std::string& at) {
    for (const auto& [name, value] : schema.items())
      if (std::string_view(known(name)->type).size() > 1)
        error(at, "the keyword {} beside enum or const is not supported", name);
    Json values = schema.contains("const") ? Json::array({schema["const"]}) : schema["enum"];
    if (!values.is_array() || values.empty()) error(at, "enum must be a list of values");
    std::vector<std::string> alternatives;
    for (const Json& value : values) {
      const bool typed =
          types.empty() || std::any_of(types.begin(), types.end(), [&](const auto& t) { return is_of_type(value, t); });
      const bool listed = !schema.contains("const") || !schema.contains("enum") ||
                          std::find(schema["enum"].begin(), schema["enum"].end(), value) != schema["enum"].end();
      if (typed && listed) alternatives.push_back(literal(value.dump()));
    }
    if (alternatives.empty()) error(at, "none of the values of enum or const has the type that is asked for");
    return new_rule(fmt::format("{}", fmt::join(alternatives, " | ")));
  }

  std::string of_type(const Json& schema, const std::string& type, const std::string& at) {
    if (type == "string") return of_string(schema, at);
    if (type != "object" && type != "array") return type;
    ++object_depth_;
    std::string item = type == "array" ? of_array(schema, at) : of_properties(schema, at);
    --object_depth_;
    return item;
  }

  struct Counts {
    int min = 0, max = -1;
  };
  static std::optional<Counts> counts(const Json& schema, const char* min, const char* max, const std::string& at) {
    const auto read = [&](const char* name, int otherwise) {
      const auto it = schema.find(name);
      if (it == schema.end()) return otherwise;
      if (!it->is_number_unsigned() || it->get<std::uint64_t>() > Grammar::kMaxRepetitions)
        error(at, "{} must be a whole number from 0 to {}", name, Grammar::kMaxRepetitions);
      return static_cast<int>(it->get<std::uint64_t>());
    };
    const Counts c{read(min, 0), read(max, -1)};
    if (c.max >= 0 && c.max < c.min) error(at, "{} {} is above {} {}", min, c.min, max, c.max);
    if (c.min == 0 && c.max < 0) return std::nullopt;
    return c;
  }
  static std::string repetition(int min, int max) {
    return max < 0 ? fmt::format("{{{},}}", min) : fmt::format("{{{},{}}}", min, max);
  }

  std::string of_string(const Json& schema, const std::string& at) {
    const auto n = counts(schema, "minLength", "maxLength", at);
    return n ? new_rule(fmt::format("\"\\\"\" char{} \"\\\"\"", repetition(n->min, n->max))) : "string";
  }

  std::string of_array(const Json& schema, const std::string& at) {
    const Counts n = counts(schema, "minItems", "maxItems", at).value_or(Counts{});
    if (schema.contains("items") && schema["items"].is_array())
      error(at, "items as a list of schemas is not supported");
    if (n.max == 0) return new_rule("\"[\" ws \"]\"");
    const std::string item = schema.contains("items") ? convert(schema["items"], at + "/items") : "value";
    const std::string more = repetition(std::max(n.min - 1, 0), n.max < 0 ? -1 : n.max - 1);
    const std::string some = fmt::format("{} ws ( \",\" ws {} ws ){}", item, item, more);
    return new_rule(n.min == 0 ? fmt::format("\"[\" ws ( {} )? \"]\"", some) : fmt::format("\"[\" ws {} \"]\"", some));
  }

  struct Property {
    std::string item;  ///< "name": value
    bool required;
  };

  std::string of_properties(const Json& schema, const std::string& at) {
    const Json listed = schema.value("properties", Json::object());
    if (!listed.is_object()) error(at, "properties must be an object of schemas");
    const Json required = schema.value("required", Json::array());
    if (!required.is_array()) error(at, "required must be a list of names");
    for (const Json& name : required)
      if (!name.is_string()) error(at, "required must be a list of names");
    const bool closed = schema.contains("additionalProperties") && schema["additionalProperties"] == false;
    const bool open = schema.contains("additionalProperties") ? !closed : listed.empty() && required.empty();

    std::string other;
    if (open)
      other = schema.contains("additionalProperties")
                  ? convert(schema["additionalProperties"], at + "/additionalProperties")
                  : "value";
    std::vector<Property> properties;
    std::vector<std::string> names;
    const auto add = [&](const std::string& name, const std::string& value, bool needed) {
      properties.push_back({new_rule(fmt::format("{} ws \":\" ws {} ws", literal(Json(name).dump()), value)), needed});
      names.push_back(name);
    };
    for (const auto& [name, value] : listed.items()) {
      const bool needed = std::find(required.begin(), required.end(), Json(name)) != required.end();
      add(name, convert(value, fmt::format("{}/properties/{}", at, name)), needed);
    }
    for (const Json& name : required) {
      if (std::find(names.begin(), names.end(), name.get<std::string>()) != names.end()) continue;
      if (closed)
        error(at, "required names {}, which properties does not list and additionalProperties forbids", name.dump());
      add(name.get<std::string>(), open ? other : "value", true);
    }
    std::optional<std::string> extra;
    if (open) extra = new_rule(fmt::format("{} ws \":\" ws {} ws", key(names), other));
    return new_rule(fmt::format("\"{{\" ws {} \"}}\"", members(properties, extra)));
  }

  std::string key(const std::vector<std::string>& names) {
    if (names.empty()) return "string";
    return key_other_than(names, [this](const std::string& body) { return new_rule(body); });
  }

  /// From the last property to the first: the rest of the object when something stands before it, and when nothing
  /// does.
  std::string members(const std::vector<Property>& properties, const std::optional<std::string>& extra) {
    std::string after = new_rule(extra ? fmt::format("( \",\" ws {} )*", *extra) : "\"\"");
    std::string first = new_rule(extra ? fmt::format("( {} {} )?", *extra, after) : "\"\"");
    for (auto p = properties.rbegin(); p != properties.rend(); ++p) {
      first = new_rule(p->required ? fmt::format("{} {}", p->item, after)
                                   : fmt::format("{} {} | {}", p->item, after, first));
      after = new_rule(p->required ? fmt::format("\",\" ws {} {}", p->item, after)
                                   : fmt::format("( \",\" ws {} )? {}", p->item, after));
    }
    return first;
  }

  struct Reference {
    std::string name;
    bool open = false;
    int open_depth = 0;  ///< objects and arrays around it
  };
  const Json& root_;
  std::vector<std::string> rules_;
  std::map<std::string, Reference> references_;
  std::size_t size_ = 0;
  int n_rules_ = 0, depth_ = 0, object_depth_ = 0;
};

}  // namespace

std::string json_schema_to_gbnf(std::string_view schema) {
  if (schema.size() > Grammar::kMaxText)
    fail(ErrorCategory::usage, "JSON schema: {} bytes are more than the limit of {}", schema.size(), Grammar::kMaxText);
  Json parsed;
  try {
    parsed = Json::parse(schema);
  } catch (const Json::exception& e) {
    fail(ErrorCategory::usage, "JSON schema: not JSON: {}", e.what());
  }
  return Converter(parsed).run();
}

}  // namespace mtmd
