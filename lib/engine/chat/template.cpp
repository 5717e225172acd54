#include "engine/chat/template.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/chat/interpreter.h"
#include "engine/chat/parser.h"

namespace mtmd::chat {

struct Template::Impl {
  std::string name;
  Limits limits;
  Body body;
};

Template::Template(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

Template Template::parse(std::string_view source, std::string_view name, const Limits& limits) {
  return Template(std::make_unique<Impl>(Impl{std::string(name), limits, parse_template(source, name, limits)}));
}

namespace {

Value from_json(Runtime& rt, const nlohmann::ordered_json& j, int level) {
  if (level > rt.limits().max_depth) rt.fail(fmt::format("values nested deeper than {} levels", rt.limits().max_depth));
  switch (j.type()) {
    case nlohmann::json::value_t::null:
    case nlohmann::json::value_t::discarded:
      return None{};
    case nlohmann::json::value_t::boolean:
      return j.get<bool>();
    case nlohmann::json::value_t::number_integer:
      return j.get<std::int64_t>();
    case nlohmann::json::value_t::number_unsigned:
      if (j.get<std::uint64_t>() > INT64_MAX) rt.fail("an integer that does not fit into 64 bits");
      return j.get<std::int64_t>();
    case nlohmann::json::value_t::number_float:
      return j.get<double>();
    case nlohmann::json::value_t::string:
      return rt.text(j.get<std::string>());
    case nlohmann::json::value_t::binary:
      rt.fail("binary data");
    case nlohmann::json::value_t::array: {
      std::vector<Value> items;
      for (const auto& item : j) items.push_back(from_json(rt, item, level + 1));
      return rt.list(std::move(items));
    }
    case nlohmann::json::value_t::object: {
      std::vector<std::pair<Value, Value>> entries;
      for (const auto& [key, value] : j.items()) entries.emplace_back(rt.text(key), from_json(rt, value, level + 1));
      return rt.dict(std::move(entries));
    }
  }
  return {};
}

}  // namespace

std::string Template::render(const nlohmann::ordered_json& context, std::int64_t now) const {
  Runtime rt(impl_->name, impl_->limits, now);
  const Value variables = from_json(rt, context, 1);
  if (!variables.dict()) rt.fail("expected an object");
  return interpret(impl_->body, rt, variables);
}

namespace {

/// messages without their leading system message, its text before the first user text; nothing when that is impossible.
std::optional<nlohmann::ordered_json> with_merged_system(const nlohmann::ordered_json& messages) {
  if (!messages.is_array() || messages.size() < 2 || messages[0].value("role", "") != "system") return std::nullopt;
  const auto system = messages[0].find("content");
  if (system == messages[0].end() || !system->is_string()) return std::nullopt;
  nlohmann::ordered_json rest(messages.begin() + 1, messages.end());
  for (auto& m : rest) {
    if (!m.is_object() || m.value("role", "") != "user") continue;
    const std::string text = system->get<std::string>() + "\n";
    if (m.contains("content") && m["content"].is_string()) {
      m["content"] = text + m["content"].get<std::string>();
    } else if (m.contains("content") && m["content"].is_array()) {
      m["content"].insert(m["content"].begin(), nlohmann::ordered_json{{"type", "text"}, {"text", text}});
    } else {
      return std::nullopt;
    }
    return rest;
  }
  return std::nullopt;
}

}  // namespace

std::string render_conversation(const Template& chat_template, const nlohmann::ordered_json& context, std::int64_t now,
                                bool* merged_system) {
  if (merged_system) *merged_system = false;
  try {
    return chat_template.render(context, now);
  } catch (const Error& e) {
    if (e.category() != ErrorCategory::input || !context.is_object() || !context.contains("messages")) throw;
    auto messages = with_merged_system(context["messages"]);
    if (!messages) throw;
    nlohmann::ordered_json again = context;
    again["messages"] = std::move(*messages);
    std::string text = chat_template.render(again, now);
    if (merged_system) *merged_system = true;
    return text;
  }
}

}  // namespace mtmd::chat
