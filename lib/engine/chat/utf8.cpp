#include "engine/chat/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

namespace mtmd::chat {

CodePoint code_point_at(std::string_view text, std::size_t at) noexcept {
  if (static_cast<unsigned char>(text[at]) < 0x80) return {text[at], 1};
  utf8proc_int32_t v = -1;
  const auto* p = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at;
  const auto n = utf8proc_iterate(p, static_cast<utf8proc_ssize_t>(std::min<std::size_t>(text.size() - at, 4)), &v);
  if (n <= 0) return {-1, 1};
  return {v, static_cast<std::size_t>(n)};
}

void append_code_point(std::string& to, std::int32_t value) {
  utf8proc_uint8_t bytes[4];
  const auto n = utf8proc_encode_char(value, bytes);
  to.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n));
}

std::size_t count_code_points(std::string_view text) noexcept {
  std::size_t n = 0;
  for (std::size_t i = 0; i < text.size(); i += code_point_at(text, i).n_bytes) ++n;
  return n;
}

std::vector<std::string_view> split_code_points(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t n = code_point_at(text, i).n_bytes;
    parts.push_back(text.substr(i, n));
    i += n;
  }
  return parts;
}

bool is_space(std::int32_t c) noexcept {
  return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_printable(std::int32_t c) noexcept {
  if (c == ' ') return true;
  if (c < 0) return false;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

namespace {

template <class Map>
std::string map_code_points(std::string_view text, Map&& map) {
  std::string out;
  out.reserve(text.size());
  bool first = true;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = code_point_at(text, i);
    if (c.value < 0) {
      out += text[i];
    } else {
      append_code_point(out, map(c.value, first));
    }
    first = false;
    i += c.n_bytes;
  }
  return out;
}

}  // namespace

std::string to_upper(std::string_view text) {
  return map_code_points(text, [](std::int32_t c, bool) { return utf8proc_toupper(c); });
}

std::string to_lower(std::string_view text) {
  return map_code_points(text, [](std::int32_t c, bool) { return utf8proc_tolower(c); });
}

std::string capitalize(std::string_view text) {
  return map_code_points(text,
                         [](std::int32_t c, bool first) { return first ? utf8proc_totitle(c) : utf8proc_tolower(c); });
}

std::string_view strip(std::string_view text, bool left, bool right, const std::string* chars) {
  const auto drop = [chars](std::string_view c) {
    if (chars) return find_text(*chars, c) != std::string_view::npos;
    return is_space(code_point_at(c, 0).value);
  };
  while (left && !text.empty()) {
    const std::size_t n = code_point_at(text, 0).n_bytes;
    if (!drop(text.substr(0, n))) break;
    text.remove_prefix(n);
  }
  while (right && !text.empty()) {
    std::size_t n = 1;  // the last character is the longest valid sequence that ends here
    for (std::size_t k = 2; k <= 4 && k <= text.size(); ++k) {
      if (code_point_at(text, text.size() - k).n_bytes == k) n = k;
    }
    if (!drop(text.substr(text.size() - n))) break;
    text.remove_suffix(n);
  }
  return text;
}

std::size_t find_text(std::string_view text, std::string_view what, std::size_t from) noexcept {
  if (from > text.size()) return std::string_view::npos;
  if (what.empty()) return from;
  // memmem of the C library is linear; string::find is quadratic on text made for it.
  const void* at = memmem(text.data() + from, text.size() - from, what.data(), what.size());
  return at ? static_cast<std::size_t>(static_cast<const char*>(at) - text.data()) : std::string_view::npos;
}

}  // namespace mtmd::chat
