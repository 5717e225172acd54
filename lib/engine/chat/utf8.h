// Code points of UTF-8 text, as Python's str counts them. A byte that starts no valid sequence is a character of its
// own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mtmd::chat {

struct CodePoint {
  std::int32_t value = 0;  ///< -1 for an invalid byte
  std::size_t n_bytes = 1;
};
CodePoint code_point_at(std::string_view text, std::size_t at) noexcept;  ///< at < text.size()
void append_code_point(std::string& to, std::int32_t value);
std::size_t count_code_points(std::string_view text) noexcept;
std::vector<std::string_view> split_code_points(std::string_view text);

bool is_space(std::int32_t code_point) noexcept;      ///< str.isspace
bool is_printable(std::int32_t code_point) noexcept;  ///< str.isprintable

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string capitalize(std::string_view text);  ///< first character upper, the rest lower

/// Without leading (left) and trailing (right) white space, or without the characters of `chars` when that is given.
std::string_view strip(std::string_view text, bool left, bool right, const std::string* chars = nullptr);

/// Linear in both lengths; npos when absent.
std::size_t find_text(std::string_view text, std::string_view what, std::size_t from = 0) noexcept;

}  // namespace mtmd::chat
