// UTF-8 and the Unicode properties that the published splitting expressions speak of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mtmd::unicode {

inline constexpr std::uint32_t kMax = 0x10FFFF, kReplacement = 0xFFFD;

struct Decoded {
  std::uint32_t code_point;  ///< U+FFFD when not valid
  std::uint32_t length;      ///< bytes used: 1 when not valid
  bool valid;
};

/// The character at `p` (p < end). Surrogates written as three bytes count as valid, as the reference takes them;
/// overlong forms, values above U+10FFFF, stray and missing continuation bytes do not.
Decoded decode(const char* p, const char* end) noexcept;

void append_utf8(std::string& out, std::uint32_t code_point);

/// Length that a lead byte announces, without looking further (a stray continuation byte: 1).
inline std::uint32_t announced_length(char lead) noexcept {
  const auto b = static_cast<unsigned char>(lead);
  return b < 0xC0 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

/// False for continuation bytes.
inline bool begins_character(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

/// True when every character of `text` is valid in the sense of decode().
bool is_valid(std::string_view text) noexcept;
/// `text` with every byte that is not part of a valid character replaced by U+FFFD.
std::string replace_invalid(std::string_view text);

/// A set of code points.
class Set {
 public:
  struct Range {
    std::uint32_t first, last;
  };
  void add(std::uint32_t first, std::uint32_t last) { ranges_.push_back({first, last}); }
  void add(const Set& other) { ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end()); }
  Set inverse() const;
  /// The same set as ascending ranges that do not touch.
  Set normalised() const { return inverse().inverse(); }
  bool contains(std::uint32_t code_point) const;                  ///< any order of ranges
  bool contains_sorted(std::uint32_t code_point) const noexcept;  ///< of a normalised() set, in logarithmic time
  const std::vector<Range>& ranges() const noexcept { return ranges_; }

 private:
  std::vector<Range> ranges_;
};

/// The first character of the canonical decomposition: a letter without its accents.
std::uint32_t base_letter(std::uint32_t code_point) noexcept;
/// Simple lower case: always one character.
std::uint32_t lower_case(std::uint32_t code_point) noexcept;

/// The ideographs of Chinese, Japanese and Korean (the unified blocks, their extensions A to F, the compatibility
/// blocks).
Set han();
/// A general category ("Lu") or a group of them ("L"), from utf8proc. Empty for a name that is neither.
Set category(std::string_view name);
/// The White_Space property.
const Set& white_space();

}  // namespace mtmd::unicode
