#include "engine/tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>

namespace mtmd::unicode {
namespace {

bool continues(char c) noexcept { return !begins_character(c); }

std::uint32_t six_bits(char c) noexcept { return static_cast<unsigned char>(c) & 0x3F; }

/// utf8proc's category of every code point, as runs: (first << 5 | category), ascending (make_categories.cpp).
constexpr std::uint32_t kRuns[] = {
#include "unicode_categories.inc"
};

constexpr std::string_view kNames[] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                       "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                       "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};
static_assert(UTF8PROC_CATEGORY_LU == 1 && UTF8PROC_CATEGORY_CO == 29, "kNames follows utf8proc's numbers");

}  // namespace

Decoded decode(const char* p, const char* end) noexcept {
  const auto lead = static_cast<unsigned char>(*p);
  if (lead < 0x80) return {lead, 1, true};
  const auto left = end - p;
  if (lead >= 0xC2 && lead < 0xE0 && left >= 2 && continues(p[1]))
    return {(lead & 0x1Fu) << 6 | six_bits(p[1]), 2, true};
  if (lead >= 0xE0 && lead < 0xF0 && left >= 3 && continues(p[1]) && continues(p[2])) {
    const std::uint32_t c = (lead & 0x0Fu) << 12 | six_bits(p[1]) << 6 | six_bits(p[2]);
    if (c >= 0x800) return {c, 3, true};
  }
  if (lead >= 0xF0 && lead < 0xF5 && left >= 4 && continues(p[1]) && continues(p[2]) && continues(p[3])) {
    const std::uint32_t c = (lead & 0x07u) << 18 | six_bits(p[1]) << 12 | six_bits(p[2]) << 6 | six_bits(p[3]);
    if (c >= 0x10000 && c <= kMax) return {c, 4, true};
  }
  return {kReplacement, 1, false};
}

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

bool is_valid(std::string_view text) noexcept {
  const char *p = text.data(), *end = p + text.size();
  while (p < end) {
    const Decoded d = decode(p, end);
    if (!d.valid) return false;
    p += d.length;
  }
  return true;
}

std::string replace_invalid(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  const char *p = text.data(), *end = p + text.size();
  while (p < end) {
    const Decoded d = decode(p, end);
    if (d.valid)
      out.append(p, d.length);
    else
      append_utf8(out, kReplacement);
    p += d.length;
  }
  return out;
}

Set Set::inverse() const {
  std::vector<Range> sorted = ranges_;
  std::sort(sorted.begin(), sorted.end(), [](Range a, Range b) { return a.first < b.first; });
  Set result;
  std::uint32_t next = 0;
  for (const Range r : sorted) {
    if (r.first > next) result.add(next, r.first - 1);
    next = std::max(next, r.last + 1);
  }
  if (next <= kMax) result.add(next, kMax);
  return result;
}

bool Set::contains(std::uint32_t c) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [c](Range r) { return r.first <= c && c <= r.last; });
}

bool Set::contains_sorted(std::uint32_t c) const noexcept {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), c, [](std::uint32_t value, Range r) { return value < r.first; });
  return after != ranges_.begin() && c <= std::prev(after)->last;
}

std::uint32_t base_letter(std::uint32_t c) noexcept {
  if (c < 0x80) return c;
  utf8proc_int32_t parts[8];  // canonical decompositions have at most four characters
  int boundary = 0;
  const auto n =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, std::size(parts), UTF8PROC_DECOMPOSE, &boundary);
  return n > 0 ? static_cast<std::uint32_t>(parts[0]) : c;
}

std::uint32_t lower_case(std::uint32_t c) noexcept {
  return static_cast<std::uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

Set han() {
  Set set;
  set.add(0x3400, 0x4DBF);
  set.add(0x4E00, 0x9FFF);
  set.add(0xF900, 0xFAFF);
  set.add(0x20000, 0x2A6DF);
  set.add(0x2A700, 0x2B73F);
  set.add(0x2B740, 0x2EBEF);
  set.add(0x2F800, 0x2FA1F);
  return set;
}

Set category(std::string_view name) {
  bool wanted[std::size(kNames)] = {};
  for (std::size_t i = 0; i < std::size(kNames); ++i) wanted[i] = kNames[i].substr(0, name.size()) == name;
  Set result;
  if (name.empty()) return result;
  for (std::size_t i = 0; i < std::size(kRuns); ++i) {
    const std::uint32_t last = i + 1 < std::size(kRuns) ? (kRuns[i + 1] >> 5) - 1 : kMax;
    if (wanted[kRuns[i] & 31]) result.add(kRuns[i] >> 5, last);
  }
  return result;
}

const Set& white_space() {
  static const Set set = [] {
    Set s = category("Z");
    s.add(0x09, 0x0D);
    s.add(0x85, 0x85);
    return s;
  }();
  return set;
}

}  // namespace mtmd::unicode
