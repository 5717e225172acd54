#include "engine/chat/printf.h"

#include <charconv>
#include <cmath>

#include "engine/chat/operators.h"
#include "engine/chat/utf8.h"

namespace mtmd::chat {
namespace {

struct Spec {
  bool left = false, plus = false, space = false, zero = false;
  int width = 0, precision = -1;
  char conversion = 0;
};

int read_number(Runtime& rt, std::string_view format, std::size_t& at) {
  int n = 0;
  while (at < format.size() && format[at] >= '0' && format[at] <= '9') {
    n = n * 10 + (format[at++] - '0');
    if (n > 1000) rt.fail("a width or precision above 1000 in a format");
  }
  return n;
}

Spec read_spec(Runtime& rt, std::string_view format, std::size_t& at) {
  Spec s;
  for (; at < format.size(); ++at) {
    const char c = format[at];
    if (c == '-')
      s.left = true;
    else if (c == '+')
      s.plus = true;
    else if (c == ' ')
      s.space = true;
    else if (c == '0')
      s.zero = true;
    else
      break;
  }
  s.width = read_number(rt, format, at);
  if (at < format.size() && format[at] == '.') {
    ++at;
    s.precision = read_number(rt, format, at);
  }
  if (at >= format.size()) rt.fail("a format that ends after '%'");
  s.conversion = format[at++];
  return s;
}

std::string number_text(Runtime& rt, const Spec& s, const Value& v) {
  if (!is_number(v)) rt.fail(fmt::format("%{} needs a number, found a value of type {}", s.conversion, type_name(v)));
  const double r = to_real(v);
  std::string digits;
  switch (s.conversion) {
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': {
      if (!v.get<std::int64_t>() && (!std::isfinite(r) || std::fabs(r) >= 9e18))
        rt.fail("a number too large for an integer");
      const std::int64_t i = v.get<std::int64_t>() ? *v.get<std::int64_t>() : static_cast<std::int64_t>(r);
      const std::uint64_t magnitude = i < 0 ? 0 - static_cast<std::uint64_t>(i) : static_cast<std::uint64_t>(i);
      digits = s.conversion == 'x'   ? fmt::format("{:x}", magnitude)
               : s.conversion == 'X' ? fmt::format("{:X}", magnitude)
               : s.conversion == 'o' ? fmt::format("{:o}", magnitude)
                                     : fmt::format("{}", magnitude);
      break;
    }
    default: {
      const int precision = s.precision < 0 ? 6 : s.precision;
      const double m = std::fabs(r);
      const char kind = s.conversion;
      digits = kind == 'e'   ? fmt::format("{:.{}e}", m, precision)
               : kind == 'E' ? fmt::format("{:.{}E}", m, precision)
               : kind == 'g' ? fmt::format("{:.{}g}", m, precision)
               : kind == 'G' ? fmt::format("{:.{}G}", m, precision)
                             : fmt::format("{:.{}f}", m, precision);
    }
  }
  const std::string sign = std::signbit(r) && r != 0 ? "-" : s.plus ? "+" : s.space ? " " : "";
  const std::size_t n = sign.size() + digits.size(), width = static_cast<std::size_t>(s.width);
  if (s.zero && !s.left && n < width) digits.insert(0, width - n, '0');
  return sign + digits;
}

std::string convert(Runtime& rt, const Spec& s, const Value& v) {
  static constexpr std::string_view numeric = "diuxXofFeEgG";
  std::string text;
  if (s.conversion == 's' || s.conversion == 'r') {
    text = s.conversion == 's' ? text_of(rt, v) : repr(v);
    if (s.precision >= 0) {
      const auto parts = split_code_points(text);
      std::string cut;
      for (std::size_t i = 0; i < parts.size() && i < static_cast<std::size_t>(s.precision); ++i) cut += parts[i];
      text = cut;
    }
  } else if (numeric.find(s.conversion) != std::string_view::npos) {
    text = number_text(rt, s, v);
  } else {
    rt.fail(fmt::format("the format %{} is not supported", s.conversion));
  }
  const std::size_t n = count_code_points(text), width = static_cast<std::size_t>(s.width);
  if (n < width) text.insert(s.left ? text.size() : 0, width - n, ' ');
  return text;
}

}  // namespace

std::string format_percent(Runtime& rt, std::string_view format, const std::vector<Value>& values) {
  std::string out;
  std::size_t used = 0;
  for (std::size_t at = 0; at < format.size();) {
    const std::size_t percent = format.find('%', at);
    rt.append(out, format.substr(at, percent - at));
    if (percent == std::string_view::npos) break;
    at = percent + 1;
    const Spec s = read_spec(rt, format, at);
    if (s.conversion == '%') {
      out += '%';
      continue;
    }
    rt.charge();
    if (used == values.size()) rt.fail("a format with fewer values than conversions");
    rt.append(out, convert(rt, s, values[used++]));
  }
  // A mapping may stay unused, as in Python.
  if (used < values.size() && !(values.size() == 1 && values[0].dict()))
    rt.fail("a format with more values than conversions");
  return out;
}

std::string format_braces(Runtime& rt, std::string_view format, const Args& args) {
  std::string out;
  std::size_t next = 0;
  for (std::size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    if ((c == '{' || c == '}') && at + 1 < format.size() && format[at + 1] == c) {
      out += c;
      ++at;
      continue;
    }
    if (c == '}') rt.fail("a single '}' in a format");
    if (c != '{') {
      out += c;
      continue;
    }
    rt.charge();
    const std::size_t close = format.find('}', at);
    if (close == std::string_view::npos) rt.fail("a '{' without '}' in a format");
    const std::string_view field = format.substr(at + 1, close - at - 1);
    at = close;
    const Value* value = nullptr;
    std::size_t index = next;
    const auto r = std::from_chars(field.data(), field.data() + field.size(), index);
    if (field.empty() || (r.ec == std::errc() && r.ptr == field.data() + field.size())) {
      if (field.empty()) ++next;
      if (index < args.positional.size()) value = &args.positional[index];
    } else {
      for (const auto& [name, v] : args.named) {
        if (name == field) value = &v;
      }
    }
    if (!value) rt.fail(fmt::format("the format field '{{{}}}' is missing or not supported", field));
    rt.append(out, text_of(rt, *value));
  }
  return out;
}

}  // namespace mtmd::chat
