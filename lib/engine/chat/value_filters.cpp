// Filters on numbers and on values of any type.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/chat/filter_tables.h"
#include "engine/chat/operators.h"
#include "engine/chat/utf8.h"

namespace mtmd::chat {
namespace {

Value default_filter(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "default", args, {"default_value", "boolean"});
  const bool replace = v.is_undefined() || (b.flag(1, false) && !truthy(v));
  if (!replace) return v;
  return b.find(0) ? b[0] : rt.text("");
}

Value tojson(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "tojson", args, {"indent", "ensure_ascii", "separators", "sort_keys"});
  // A first boolean is Hugging Face's ensure_ascii.
  const bool ascii_first = b.find(0) && b.find(0)->get<bool>();
  JsonStyle style;
  if (!ascii_first) {
    style.indent = static_cast<int>(std::clamp<std::int64_t>(b.integer(0, -1), -1, 1000));
    if (style.indent > 64) rt.fail("tojson with an indent above 64");
  }
  style.ascii = ascii_first ? *b[0].get<bool>() : b.flag(1, false);
  style.sort_keys = b.flag(3, false);
  if (const Value* s = b.find(2); s && !s->is_none()) {
    const auto parts = elements(rt, *s);
    if (parts.size() != 2 || !parts[0].text() || !parts[1].text()) rt.fail("tojson: separators are two strings");
    style.item_separator = *parts[0].text();
    style.key_separator = *parts[1].text();
    rt.charge_bytes(weight(v) * (parts[0].text()->size() + parts[1].text()->size()));
  }
  rt.charge_bytes(weight(v) * (style.indent > 0 ? 8 : 1));
  std::string unsupported;
  std::string text = to_json(v, style, unsupported);
  if (!unsupported.empty()) {
    const auto* u = v.get<Undefined>();
    rt.fail(
        fmt::format("tojson: {} cannot be written as JSON", u && u->what ? *u->what + " (undefined)" : unsupported));
  }
  return rt.text(std::move(text));
}

double parse_real(std::string_view text, bool& ok) {
  text = strip(text, true, true);
  if (text.starts_with('+')) text.remove_prefix(1);
  double r = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), r);
  ok = !text.empty() && result.ec == std::errc() && result.ptr == text.data() + text.size();
  return r;
}

Value to_int(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "int", args, {"default", "base"});
  const Value otherwise = b.find(0) ? b[0] : Value(std::int64_t{0});
  const std::int64_t base = b.integer(1, 10);
  if (v.get<std::int64_t>()) return v;
  if (const auto* flag = v.get<bool>()) return std::int64_t{*flag};
  double r = 0;
  if (const auto* text = v.text()) {
    if (base < 2 || base > 36) rt.fail("int: the base must be 2 to 36");
    std::string_view t = strip(*text, true, true);
    if (t.starts_with('+')) t.remove_prefix(1);
    if ((base == 16 && (t.starts_with("0x") || t.starts_with("0X"))) || (base == 8 && t.starts_with("0o")) ||
        (base == 2 && t.starts_with("0b"))) {
      t.remove_prefix(2);
    }
    std::int64_t i = 0;
    const auto result = std::from_chars(t.data(), t.data() + t.size(), i, static_cast<int>(base));
    if (!t.empty() && result.ec == std::errc() && result.ptr == t.data() + t.size()) return i;
    bool ok = false;
    r = parse_real(*text, ok);
    if (!ok) return otherwise;
  } else if (const auto* real = v.get<double>()) {
    r = *real;
  } else {
    return otherwise;
  }
  if (!std::isfinite(r) || std::fabs(r) >= 9.2e18) return otherwise;
  return static_cast<std::int64_t>(r);
}

Value to_float(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "float", args, {"default"});
  if (is_number(v)) return to_real(v);
  bool ok = false;
  const double r = v.text() ? parse_real(*v.text(), ok) : 0;
  if (ok) return r;
  return b.find(0) ? b[0] : Value(0.0);
}

Value round(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "round", args, {"precision", "method"});
  const std::int64_t precision = b.integer(0, 0);
  const std::string* method = b.text(1);
  const std::string how = method ? *method : "common";
  if (!is_number(v)) rt.fail(fmt::format("round: a value of type {}, expected a number", type_name(v)));
  if (how != "common" && how != "ceil" && how != "floor") rt.fail("round: the method must be common, ceil or floor");
  if (precision < -300 || precision > 300) rt.fail("round: the precision must be within -300 to 300");
  const double scale = std::pow(10.0, static_cast<double>(precision)), r = to_real(v) * scale;
  if (!std::isfinite(r)) return to_real(v);
  // nearbyint rounds halves to even, as Python does.
  return (how == "common" ? std::nearbyint(r) : how == "ceil" ? std::ceil(r) : std::floor(r)) / scale;
}

Value abs(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "abs", args, {});
  if (!is_number(v)) rt.fail(fmt::format("abs: a value of type {}, expected a number", type_name(v)));
  if (const auto* r = v.get<double>()) return std::fabs(*r);
  return to_real(v) < 0 ? negative(rt, v) : v.get<bool>() ? Value(std::int64_t{*v.get<bool>()}) : v;
}

Value attr(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "attr", args, {"name"}, 1);
  if (!b.text(0)) rt.fail("attr needs a name");
  return attribute(rt, v, *b.text(0));
}

constexpr NamedFilter table[] = {
    {"default", default_filter}, {"d", default_filter}, {"tojson", tojson}, {"int", to_int},
    {"float", to_float},         {"round", round},      {"abs", abs},       {"attr", attr},
};

}  // namespace

std::span<const NamedFilter> value_filters() noexcept { return table; }

}  // namespace mtmd::chat
