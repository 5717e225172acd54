// Filters on strings. Other values are written out first, as Jinja does.
#include <algorithm>

#include "engine/chat/filter_tables.h"
#include "engine/chat/operators.h"
#include "engine/chat/printf.h"
#include "engine/chat/utf8.h"

namespace mtmd::chat {
namespace {

Value upper(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "upper", args, {});
  return rt.text(to_upper(text_of(rt, v)));
}

Value lower(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "lower", args, {});
  return rt.text(to_lower(text_of(rt, v)));
}

Value capitalize_filter(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "capitalize", args, {});
  return rt.text(capitalize(text_of(rt, v)));
}

/// Words begin after white space, '-', or an opening bracket.
Value title(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "title", args, {});
  const std::string text = text_of(rt, v);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto boundary = [&text](std::size_t i) {
      return std::string_view("-({[<").find(text[i]) != std::string_view::npos ||
             is_space(code_point_at(text, i).value);
    };
    std::size_t end = at;
    while (end < text.size() && !boundary(end)) end += code_point_at(text, end).n_bytes;
    out += capitalize(std::string_view(text).substr(at, end - at));
    if (end < text.size()) {
      const std::size_t n = code_point_at(text, end).n_bytes;
      out.append(text, end, n);
      end += n;
    }
    at = end;
  }
  return rt.text(std::move(out));
}

Value trim(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "trim", args, {"chars"});
  const std::string text = text_of(rt, v);
  if (b.text(0)) rt.charge(b.text(0)->size() / 16 * (text.size() / 16));
  return rt.text(std::string(strip(text, true, true, b.text(0))));
}

Value replace(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "replace", args, {"old", "new", "count"}, 2);
  Args forward{{b[0], b[1]}, {}};
  if (b.find(2)) forward.positional.push_back(b[2]);
  return rt.call(find_method(rt, rt.text(text_of(rt, v)), "replace"), forward);
}

Value indent(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "indent", args, {"width", "first", "blank"});
  const Value* width = b.find(0);
  std::string pad;
  if (width && width->text()) {
    pad = *width->text();
  } else {
    const std::int64_t n = b.integer(0, 4);
    if (n > 1000) rt.fail("indent by more than 1000 spaces");
    pad.assign(static_cast<std::size_t>(std::max<std::int64_t>(n, 0)), ' ');
  }
  const bool first = b.flag(1, false), blank = b.flag(2, false);
  const std::string text = text_of(rt, v);
  std::string out;
  for (std::size_t at = 0, line = 0; at <= text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (line ? blank || end > at : first) rt.append(out, pad);
    rt.append(out, std::string_view(text).substr(at, end + 1 - at));
    at = end + 1;
  }
  return rt.text(std::move(out));
}

Value escape_html(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "escape", args, {});
  std::string out;
  for (const char c : text_of(rt, v)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return rt.text(std::move(out));
}

Value center(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "center", args, {"width"});
  const Args forward{{b.integer(0, 80)}, {}};
  return rt.call(find_method(rt, rt.text(text_of(rt, v)), "center"), forward);
}

Value format(Runtime& rt, const Value& v, const Args& args) {
  return rt.text(format_percent(rt, text_of(rt, v), args.positional));
}

Value wordcount(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "wordcount", args, {});
  return length(rt, rt.call(find_method(rt, rt.text(text_of(rt, v)), "split"), {}));
}

Value string(Runtime& rt, const Value& v, const Args& args) {
  const Bound b(rt, "string", args, {});
  return v.text() ? v : rt.text(text_of(rt, v));
}

/// Nothing is escaped here, so there is nothing to mark as safe.
Value safe(Runtime& rt, const Value& v, const Args& args) { return string(rt, v, args); }

constexpr NamedFilter table[] = {
    {"upper", upper},
    {"lower", lower},
    {"capitalize", capitalize_filter},
    {"title", title},
    {"trim", trim},
    {"indent", indent},
    {"replace", replace},
    {"escape", escape_html},
    {"e", escape_html},
    {"string", string},
    {"forceescape", escape_html},
    {"safe", safe},
    {"center", center},
    {"format", format},
    {"wordcount", wordcount},
};

}  // namespace

std::span<const NamedFilter> text_filters() noexcept { return table; }

}  // namespace mtmd::chat
