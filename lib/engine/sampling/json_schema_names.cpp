#include "engine/sampling/json_schema_names.h"

#include <fmt/format.h>

#include <map>
#include <memory>

namespace mtmd::json_schema {
namespace {

struct Node {
  std::map<std::string, std::unique_ptr<Node>> next;  ///< by character (UTF-8)
  bool end = false;                                   ///< a name ends here
};

std::size_t character_size(unsigned char lead) { return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4; }

std::string in_class(const std::string& c) {
  if (c.size() == 1 && (c[0] == ']' || c[0] == '\\' || c[0] == '-' || c[0] == '^' || c[0] == '[')) return "\\" + c;
  return c;
}

}  // namespace

std::string literal(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out + '"';
}

std::string key_other_than(const std::vector<std::string>& names,
                           const std::function<std::string(const std::string&)>& new_rule) {
  Node root;
  std::vector<Node*> nodes = {&root};  // parents before children
  for (const std::string& name : names) {
    // a name with a character that JSON escapes cannot be written without escapes at all
    Node* at = &root;
    bool plain = true;
    for (const char c : name)
      plain = plain && c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20 && c != 0x7F;
    if (!plain) continue;
    for (std::size_t i = 0; i < name.size();) {
      const std::string c = name.substr(i, character_size(static_cast<unsigned char>(name[i])));
      auto& to = at->next[c];
      if (!to) {
        to = std::make_unique<Node>();
        nodes.push_back(to.get());
      }
      at = to.get();
      i += c.size();
    }
    at->end = true;
  }
  std::map<const Node*, std::string> rules;  // what may follow, up to the closing quote
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    std::string others = "[^\"\\\\\\x00-\\x1F\\x7F", body;
    for (const auto& [c, next] : (*node)->next) {
      others += in_class(c);
      body += fmt::format("{} {} | ", literal(c), rules[next.get()]);
    }
    body += others + "] plain* \"\\\"\"";
    if (!(*node)->end) body += " | \"\\\"\"";
    rules[*node] = new_rule(body);
  }
  return fmt::format("\"\\\"\" {}", rules[&root]);
}

}  // namespace mtmd::json_schema
