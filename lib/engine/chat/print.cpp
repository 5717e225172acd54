// Values as text: Python's str() and repr(), and JSON.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "engine/chat/utf8.h"
#include "engine/chat/value.h"

namespace mtmd::chat {
namespace {

void append_escaped_char(std::string& out, std::int32_t c, std::string_view raw) {
  if (c < 0) {
    out += fmt::format("\\x{:02x}", static_cast<unsigned char>(raw[0]));
  } else if (is_printable(c)) {
    out += raw;
  } else if (c < 0x100) {
    out += fmt::format("\\x{:02x}", c);
  } else if (c < 0x10000) {
    out += fmt::format("\\u{:04x}", c);
  } else {
    out += fmt::format("\\U{:08x}", c);
  }
}

std::string quoted(const std::string& s) {
  const bool has_single = s.find('\'') != std::string::npos, has_double = s.find('"') != std::string::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t i = 0; i < s.size();) {
    const CodePoint c = code_point_at(s, i);
    if (c.value == quote || c.value == '\\') {
      out += '\\';
      out += s[i];
    } else if (c.value == '\n') {
      out += "\\n";
    } else if (c.value == '\r') {
      out += "\\r";
    } else if (c.value == '\t') {
      out += "\\t";
    } else {
      append_escaped_char(out, c.value, std::string_view(s).substr(i, c.n_bytes));
    }
    i += c.n_bytes;
  }
  return out + quote;
}

std::string list_repr(const List& list) {
  std::string out = list.tuple ? "(" : "[";
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (i) out += ", ";
    out += repr(list.items[i]);
  }
  if (list.tuple && list.items.size() == 1) out += ',';
  return out + (list.tuple ? ")" : "]");
}

std::string dict_repr(const Dict& dict) {
  std::string out = "{";
  for (const auto& [key, value] : dict.entries) {
    if (out.size() > 1) out += ", ";
    out += repr(key) + ": " + repr(value);
  }
  return out + "}";
}

}  // namespace

/// The shortest digits that give the same number again, placed as Python places them.
std::string real_text(double v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(v), std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = text.find('e');
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c != '.') digits += c;
  }
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  std::string out = std::signbit(v) ? "-" : "";
  const int n = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits.substr(0, 1);
    if (n > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (n <= exponent + 1) return out + digits + std::string(static_cast<std::size_t>(exponent + 1 - n), '0') + ".0";
  return out + digits.substr(0, static_cast<std::size_t>(exponent) + 1) + "." +
         digits.substr(static_cast<std::size_t>(exponent) + 1);
}

std::string repr(const Value& v) {
  if (v.text()) return quoted(*v.text());
  if (v.is_undefined()) return "Undefined";
  return to_text(v);
}

std::string to_text(const Value& v) {
  if (v.text()) return *v.text();
  if (v.is_undefined()) return "";
  if (v.is_none()) return "None";
  if (const auto* b = v.get<bool>()) return *b ? "True" : "False";
  if (const auto* i = v.get<std::int64_t>()) return fmt::format("{}", *i);
  if (const auto* r = v.get<double>()) return real_text(*r);
  if (v.list()) return list_repr(*v.list());
  if (v.dict()) return dict_repr(*v.dict());
  if (v.space()) return "<Namespace>";
  if (v.loop()) return fmt::format("<LoopContext {}/{}>", v.loop()->index0 + 1, v.loop()->items->items.size());
  return fmt::format("<function {}>", v.callable()->name);
}

namespace {

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, std::string& unsupported) : style_(style), unsupported_(unsupported) {
    item_ = !style.item_separator.empty() ? style.item_separator : style.indent < 0 ? ", " : ",";
    key_ = !style.key_separator.empty() ? style.key_separator : ": ";
  }
  void write(const Value& v, int level);
  std::string take() { return std::move(out_); }

 private:
  void newline(int level) {
    if (style_.indent < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(style_.indent) * static_cast<std::size_t>(level), ' ');
  }
  void string(std::string_view s);
  void list(const List& list, int level);
  void dict(const Dict& dict, int level);
  std::string key_text(const Value& key);

  const JsonStyle& style_;
  std::string& unsupported_;
  std::string item_, key_, out_;
};

void JsonWriter::string(std::string_view s) {
  out_ += '"';
  for (std::size_t i = 0; i < s.size();) {
    const CodePoint c = code_point_at(s, i);
    switch (c.value) {
      case '"':
        out_ += "\\\"";
        break;
      case '\\':
        out_ += "\\\\";
        break;
      case '\n':
        out_ += "\\n";
        break;
      case '\r':
        out_ += "\\r";
        break;
      case '\t':
        out_ += "\\t";
        break;
      case '\b':
        out_ += "\\b";
        break;
      case '\f':
        out_ += "\\f";
        break;
      default:
        if (c.value >= 0 && c.value < 0x20) {
          out_ += fmt::format("\\u{:04x}", c.value);
        } else if (style_.ascii && c.value >= 0x10000) {
          const int v = c.value - 0x10000;
          out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (v >> 10), 0xdc00 + (v & 0x3ff));
        } else if (style_.ascii && c.value > 0x7e) {
          out_ += fmt::format("\\u{:04x}", c.value);
        } else {
          out_ += s.substr(i, c.n_bytes);
        }
    }
    i += c.n_bytes;
  }
  out_ += '"';
}

void JsonWriter::list(const List& list, int level) {
  out_ += '[';
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (i) out_ += item_;
    newline(level + 1);
    write(list.items[i], level + 1);
  }
  if (!list.items.empty()) newline(level);
  out_ += ']';
}

std::string JsonWriter::key_text(const Value& key) {
  if (key.text()) return *key.text();
  if (key.is_none()) return "null";
  if (const auto* b = key.get<bool>()) return *b ? "true" : "false";
  if (is_number(key)) return to_text(key);
  unsupported_ = "a key of type ";
  unsupported_ += type_name(key);
  return "";
}

void JsonWriter::dict(const Dict& dict, int level) {
  std::vector<const std::pair<Value, Value>*> entries;
  for (const auto& entry : dict.entries) entries.push_back(&entry);
  if (style_.sort_keys) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto* a, const auto* b) { return to_text(a->first) < to_text(b->first); });
  }
  out_ += '{';
  bool first = true;
  for (const auto* entry : entries) {
    if (!first) out_ += item_;
    first = false;
    newline(level + 1);
    string(key_text(entry->first));
    out_ += key_;
    write(entry->second, level + 1);
  }
  if (!first) newline(level);
  out_ += '}';
}

void JsonWriter::write(const Value& v, int level) {
  if (v.text()) return string(*v.text());
  if (v.is_none()) {
    out_ += "null";
  } else if (const auto* b = v.get<bool>()) {
    out_ += *b ? "true" : "false";
  } else if (const auto* r = v.get<double>(); r && !std::isfinite(*r)) {
    out_ += std::isnan(*r) ? "NaN" : *r < 0 ? "-Infinity" : "Infinity";
  } else if (is_number(v)) {
    out_ += to_text(v);
  } else if (v.list()) {
    list(*v.list(), level);
  } else if (v.dict()) {
    dict(*v.dict(), level);
  } else {
    unsupported_ = type_name(v);
  }
}

}  // namespace

std::string to_json(const Value& v, const JsonStyle& style, std::string& unsupported) {
  JsonWriter writer(style, unsupported);
  writer.write(v, 0);
  return writer.take();
}

}  // namespace mtmd::chat
