// Methods of strings, lists and mappings, as Python names them. Those that would change a value are refused.
#include <algorithm>

#include "engine/chat/builtins.h"
#include "engine/chat/operators.h"
#include "engine/chat/printf.h"
#include "engine/chat/utf8.h"

namespace mtmd::chat {
namespace {

using Method = Value (*)(Runtime&, const Value& self, const Args&);
struct NamedMethod {
  std::string_view name;
  Method method;
};

const std::string& str(const Value& self) { return *self.text(); }

Value stripped(Runtime& rt, const Value& self, const Args& args, std::string_view name, bool left, bool right) {
  const Bound b(rt, name, args, {"chars"});
  if (b.text(0)) rt.charge(b.text(0)->size() / 16 * (str(self).size() / 16));
  return rt.text(std::string(strip(str(self), left, right, b.text(0))));
}

/// Pieces between white space, at most `most` cuts (negative: all); the rest of the text is the last piece.
std::vector<std::string_view> split_space(std::string_view text, std::int64_t most) {
  std::vector<std::string_view> out;
  for (text = strip(text, true, false); !text.empty(); text = strip(text, true, false)) {
    if (most >= 0 && static_cast<std::int64_t>(out.size()) == most) {
      out.push_back(strip(text, false, true));
      break;
    }
    std::size_t end = 0;
    while (end < text.size() && !is_space(code_point_at(text, end).value)) end += code_point_at(text, end).n_bytes;
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return out;
}

std::vector<std::string_view> split_at(Runtime& rt, std::string_view text, std::string_view at, std::int64_t most) {
  std::vector<std::string_view> out;
  std::size_t begin = 0;
  while (most < 0 || static_cast<std::int64_t>(out.size()) < most) {
    rt.charge();
    const std::size_t end = find_text(text, at, begin);
    if (end == std::string_view::npos) break;
    out.push_back(text.substr(begin, end - begin));
    begin = end + at.size();
  }
  out.push_back(text.substr(begin));
  return out;
}

Value texts(Runtime& rt, const std::vector<std::string_view>& parts) {
  std::vector<Value> out;
  for (const auto p : parts) {
    rt.charge();
    out.push_back(rt.text(std::string(p)));
  }
  return rt.list(std::move(out));
}

Value split(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "split", args, {"sep", "maxsplit"});
  const std::int64_t most = b.integer(1, -1);
  if (!b.text(0)) return texts(rt, split_space(str(self), most));
  if (b.text(0)->empty()) rt.fail("split with an empty separator");
  return texts(rt, split_at(rt, str(self), *b.text(0), most));
}

/// From the right: all cuts are found, then the leftmost ones are undone.
Value rsplit(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "rsplit", args, {"sep", "maxsplit"});
  const std::int64_t most = b.integer(1, -1);
  if (b.text(0) && b.text(0)->empty()) rt.fail("rsplit with an empty separator");
  if (most < 0) return split(rt, self, Args{{b.find(0) ? b[0] : Value(None{})}, {}});
  const std::string& text = str(self);
  std::vector<std::string_view> out;
  std::string_view rest = text;
  if (b.text(0)) {
    const std::string& at = *b.text(0);
    while (static_cast<std::int64_t>(out.size()) < most) {
      rt.charge(1 + rest.size() / 64);
      const std::size_t cut = rest.rfind(at);
      if (cut == std::string_view::npos) break;
      out.push_back(rest.substr(cut + at.size()));
      rest = rest.substr(0, cut);
    }
    out.push_back(rest);
  } else {
    const auto pieces = split_space(text, -1);
    const std::size_t n_right = std::min<std::size_t>(pieces.size(), static_cast<std::size_t>(most));
    for (std::size_t i = 0; i < n_right; ++i) out.push_back(pieces[pieces.size() - 1 - i]);
    if (n_right < pieces.size()) {
      const auto& left = pieces[pieces.size() - 1 - n_right];
      out.push_back(
          strip(std::string_view(text).substr(0, static_cast<std::size_t>(left.data() + left.size() - text.data())),
                true, false));
    }
  }
  std::reverse(out.begin(), out.end());
  return texts(rt, out);
}

Value splitlines(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "splitlines", args, {"keepends"});
  const bool keep = b.flag(0, false);
  const std::string_view text = str(self);
  std::vector<std::string_view> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\n\r\v\f\x1c\x1d\x1e", at), text.size());
    const bool crlf = text.substr(end).starts_with("\r\n");
    const std::size_t next = std::min(end + (crlf ? 2 : 1), text.size());
    out.push_back(text.substr(at, (keep ? next : end) - at));
    at = next;
  }
  return texts(rt, out);
}

/// startswith / endswith: one string or a tuple of them.
bool has_affix(Runtime& rt, const Value& self, const Args& args, std::string_view name, bool front) {
  const Bound b(rt, name, args, {"prefix"}, 1);
  const std::vector<Value> all = b[0].list() ? b[0].list()->items : std::vector<Value>{b[0]};
  return std::any_of(all.begin(), all.end(), [&](const Value& v) {
    rt.charge();
    if (!v.text()) rt.fail(fmt::format("{} needs a string, found a value of type {}", name, type_name(v)));
    return front ? str(self).starts_with(*v.text()) : str(self).ends_with(*v.text());
  });
}

Value replace(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "replace", args, {"old", "new", "count"}, 2);
  if (!b.text(0) || !b.text(1)) rt.fail("replace needs two strings");
  const std::string &text = str(self), &from = *b.text(0), &to = *b.text(1);
  std::int64_t left = b.integer(2, -1);
  std::string out;
  std::size_t at = 0;
  while (left != 0) {
    rt.charge();
    const std::size_t hit = find_text(text, from, at);
    if (hit == std::string::npos) break;
    rt.append(out, std::string_view(text).substr(at, hit - at));
    rt.append(out, to);
    at = hit + from.size();
    if (from.empty()) {  // between all characters
      if (at >= text.size()) break;
      const std::size_t n = code_point_at(text, at).n_bytes;
      rt.append(out, std::string_view(text).substr(at, n));
      at += n;
    }
    if (left > 0) --left;
  }
  rt.append(out, std::string_view(text).substr(std::min(at, text.size())));
  return rt.text(std::move(out));
}

/// Characters before byte `at`.
std::int64_t index_of(const std::string& text, std::size_t at) {
  return static_cast<std::int64_t>(count_code_points(std::string_view(text).substr(0, at)));
}

Value find(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "find", args, {"sub"}, 1);
  if (!b.text(0)) rt.fail("find needs a string");
  rt.charge_bytes(str(self).size());
  const std::size_t at = find_text(str(self), *b.text(0));
  return at == std::string::npos ? std::int64_t{-1} : index_of(str(self), at);
}

Value rfind(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "rfind", args, {"sub"}, 1);
  if (!b.text(0)) rt.fail("rfind needs a string");
  rt.charge_bytes(str(self).size() * (1 + b.text(0)->size() / 16));
  const std::size_t at = str(self).rfind(*b.text(0));
  return at == std::string::npos ? std::int64_t{-1} : index_of(str(self), at);
}

Value index(Runtime& rt, const Value& self, const Args& args) {
  const Value at = find(rt, self, args);
  if (*at.get<std::int64_t>() < 0) rt.fail("index: the substring is not there");
  return at;
}

Value count(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "count", args, {"sub"}, 1);
  if (!b.text(0)) rt.fail("count needs a string");
  if (b.text(0)->empty()) return length(rt, self) + 1;
  return static_cast<std::int64_t>(split_at(rt, str(self), *b.text(0), -1).size()) - 1;
}

Value join(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "join", args, {"iterable"}, 1);
  std::string out;
  bool first = true;
  for (const Value& v : elements(rt, b[0])) {
    rt.charge();
    if (!v.text()) rt.fail(fmt::format("join: an item of type {}, expected a string", type_name(v)));
    if (!first) rt.append(out, str(self));
    first = false;
    rt.append(out, *v.text());
  }
  return rt.text(std::move(out));
}

Value partition(Runtime& rt, const Value& self, const Args& args, bool from_right) {
  const Bound b(rt, "partition", args, {"sep"}, 1);
  if (!b.text(0) || b.text(0)->empty()) rt.fail("partition needs a separator");
  const std::string &text = str(self), &sep = *b.text(0);
  rt.charge_bytes(text.size() * (from_right ? 1 + sep.size() / 16 : 1));
  const std::size_t at = from_right ? text.rfind(sep) : find_text(text, sep);
  if (at == std::string::npos) {
    return from_right ? rt.list({rt.text(""), rt.text(""), self}, true)
                      : rt.list({self, rt.text(""), rt.text("")}, true);
  }
  return rt.list({rt.text(text.substr(0, at)), b[0], rt.text(text.substr(at + sep.size()))}, true);
}

/// ljust, rjust, center, zfill: `before` in halves of the padding.
Value padded(Runtime& rt, const Value& self, const Args& args, std::string_view name, int before) {
  const Bound b(rt, name, args, {"width", "fillchar"}, 1);
  const std::string fill = b.text(1) ? *b.text(1) : " ";
  if (count_code_points(fill) != 1) rt.fail(fmt::format("{}: the fill must be one character", name));
  const std::int64_t n = b.integer(0, 0) - length(rt, self);
  if (n <= 0) return self;
  const std::int64_t front = before == 2 ? n : before == 0 ? 0 : n / 2 + (n & b.integer(0, 0) & 1);
  const Value filler = rt.text(fill);
  const Value left = binary(rt, Op::mul, filler, front), right = binary(rt, Op::mul, filler, n - front);
  return rt.text(*left.text() + str(self) + *right.text());
}

Value zfill(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "zfill", args, {"width"}, 1);
  const std::int64_t n = b.integer(0, 0) - length(rt, self);
  if (n <= 0) return self;
  const bool sign = str(self).starts_with('-') || str(self).starts_with('+');
  const Value zeros = binary(rt, Op::mul, rt.text("0"), n);
  return rt.text(str(self).substr(0, sign) + *zeros.text() + str(self).substr(sign));
}

/// Letters after something that is no letter become upper case, all others lower case.
Value title(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "title", args, {});
  std::string out;
  bool in_word = false;
  for (const auto part : split_code_points(str(self))) {
    const bool letter = to_upper(part) != part || to_lower(part) != part;
    out += in_word ? to_lower(part) : capitalize(part);
    in_word = letter;
  }
  rt.charge_bytes(64 * str(self).size());
  return rt.text(std::move(out));
}

/// True when the text is not empty and `all` of its bytes are such; bytes above 127 count as letters.
template <bool (*all)(unsigned char)>
Value consists_of(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "this method", args, {});
  rt.charge_bytes(str(self).size());
  return !str(self).empty() &&
         std::all_of(str(self).begin(), str(self).end(), [](char c) { return all(static_cast<unsigned char>(c)); });
}
constexpr bool digit(unsigned char c) { return c >= '0' && c <= '9'; }
constexpr bool letter(unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80; }
constexpr bool letter_or_digit(unsigned char c) { return letter(c) || digit(c); }

Value isspace(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "isspace", args, {});
  return !str(self).empty() && strip(str(self), true, false).empty();
}

Value cased(Runtime& rt, const Value& self, bool upper) {
  rt.charge_bytes(4 * str(self).size());
  const std::string up = to_upper(str(self)), low = to_lower(str(self));
  return up != low && str(self) == (upper ? up : low);
}

Value without_affix(Runtime& rt, const Value& self, const Args& args, bool front) {
  const Bound b(rt, "removeprefix", args, {"prefix"}, 1);
  if (!b.text(0)) rt.fail("removeprefix and removesuffix need a string");
  const std::string &text = str(self), &affix = *b.text(0);
  if (front ? !text.starts_with(affix) : !text.ends_with(affix)) return self;
  return rt.text(front ? text.substr(affix.size()) : text.substr(0, text.size() - affix.size()));
}

constexpr NamedMethod string_methods[] = {
    {"strip", [](Runtime& rt, const Value& v, const Args& a) { return stripped(rt, v, a, "strip", true, true); }},
    {"lstrip", [](Runtime& rt, const Value& v, const Args& a) { return stripped(rt, v, a, "lstrip", true, false); }},
    {"rstrip", [](Runtime& rt, const Value& v, const Args& a) { return stripped(rt, v, a, "rstrip", false, true); }},
    {"split", split},
    {"rsplit", rsplit},
    {"splitlines", splitlines},
    {"startswith",
     [](Runtime& rt, const Value& v, const Args& a) { return Value(has_affix(rt, v, a, "startswith", true)); }},
    {"endswith",
     [](Runtime& rt, const Value& v, const Args& a) { return Value(has_affix(rt, v, a, "endswith", false)); }},
    {"replace", replace},
    {"upper", [](Runtime& rt, const Value& v, const Args&) { return rt.text(to_upper(str(v))); }},
    {"lower", [](Runtime& rt, const Value& v, const Args&) { return rt.text(to_lower(str(v))); }},
    {"capitalize", [](Runtime& rt, const Value& v, const Args&) { return rt.text(capitalize(str(v))); }},
    {"title", title},
    {"find", find},
    {"rfind", rfind},
    {"index", index},
    {"count", count},
    {"join", join},
    {"format", [](Runtime& rt, const Value& v, const Args& a) { return rt.text(format_braces(rt, str(v), a)); }},
    {"partition", [](Runtime& rt, const Value& v, const Args& a) { return partition(rt, v, a, false); }},
    {"rpartition", [](Runtime& rt, const Value& v, const Args& a) { return partition(rt, v, a, true); }},
    {"ljust", [](Runtime& rt, const Value& v, const Args& a) { return padded(rt, v, a, "ljust", 0); }},
    {"rjust", [](Runtime& rt, const Value& v, const Args& a) { return padded(rt, v, a, "rjust", 2); }},
    {"center", [](Runtime& rt, const Value& v, const Args& a) { return padded(rt, v, a, "center", 1); }},
    {"zfill", zfill},
    {"isdigit", consists_of<digit>},
    {"isnumeric", consists_of<digit>},
    {"isdecimal", consists_of<digit>},
    {"isalpha", consists_of<letter>},
    {"isalnum", consists_of<letter_or_digit>},
    {"isspace", isspace},
    {"isupper", [](Runtime& rt, const Value& v, const Args&) { return cased(rt, v, true); }},
    {"islower", [](Runtime& rt, const Value& v, const Args&) { return cased(rt, v, false); }},
    {"removeprefix", [](Runtime& rt, const Value& v, const Args& a) { return without_affix(rt, v, a, true); }},
    {"removesuffix", [](Runtime& rt, const Value& v, const Args& a) { return without_affix(rt, v, a, false); }},
};

// ---- mappings ----

Value keys(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "keys", args, {});
  return rt.list(elements(rt, self));
}

Value values(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "values", args, {});
  std::vector<Value> out;
  for (const auto& [key, value] : self.dict()->entries) out.push_back(value);
  return rt.list(std::move(out));
}

Value items(Runtime& rt, const Value& self, const Args& args) { return find_filter("items")(rt, self, args); }

Value get(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "get", args, {"key", "default"}, 1);
  if (const Value* v = self.dict()->find(b[0])) return *v;
  return b.find(1) ? b[1] : Value(None{});
}

Value copy(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "copy", args, {});
  return self;  // values never change
}

constexpr NamedMethod dict_methods[] = {
    {"keys", keys}, {"values", values}, {"items", items}, {"get", get}, {"copy", copy}};

// ---- lists ----

Value list_index(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "index", args, {"value"}, 1);
  const auto& all = self.list()->items;
  for (std::size_t i = 0; i < all.size(); ++i) {
    rt.charge();
    if (same(rt, all[i], b[0])) return static_cast<std::int64_t>(i);
  }
  rt.fail("index: the value is not in the list");
}

Value list_count(Runtime& rt, const Value& self, const Args& args) {
  const Bound b(rt, "count", args, {"value"}, 1);
  return static_cast<std::int64_t>(
      std::count_if(self.list()->items.begin(), self.list()->items.end(), [&](const Value& v) {
        rt.charge();
        return same(rt, v, b[0]);
      }));
}

constexpr NamedMethod list_methods[] = {{"index", list_index}, {"count", list_count}, {"copy", copy}};

/// What Python has, but the sandbox does not allow.
constexpr std::string_view changing[] = {"append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"};
constexpr std::string_view dict_changing[] = {"update", "pop", "popitem", "setdefault", "clear"};

Value refuse_change(Runtime& rt, std::string_view type, std::string_view name) {
  return rt.function(std::string(name), [type, name = std::string(name)](Runtime& r, const Args&) -> Value {
    r.fail(fmt::format("{}() would change a {}, which templates may not do; use a namespace and '+'", name, type));
  });
}

}  // namespace

Value find_method(Runtime& rt, const Value& object, std::string_view name) {
  std::span<const NamedMethod> methods;
  std::span<const std::string_view> refused;
  if (object.text()) {
    methods = string_methods;
  } else if (object.list()) {
    methods = list_methods;
    if (!object.list()->tuple) refused = changing;
  } else if (object.dict()) {
    methods = dict_methods;
    refused = dict_changing;
  }
  for (const NamedMethod& m : methods) {
    if (m.name != name) continue;
    return rt.function(
        std::string(name), [object, call = m.method](Runtime& r, const Args& a) { return call(r, object, a); },
        depth(object));
  }
  if (std::find(refused.begin(), refused.end(), name) != refused.end())
    return refuse_change(rt, type_name(object), name);
  return {};
}

}  // namespace mtmd::chat
