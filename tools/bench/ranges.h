// Lists of counts as llama-bench takes them: "512", "256,512", "256-1024*2", "1-8+1", "1-4,8".
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace mtmd::bench {

/// The counts in order; "a-b" counts by one, "a-b+s" in steps of s, "a-b*f" by a factor. Throws Error(usage) naming
/// `flag` for anything else, for values below `lowest` and for more than 1000 values.
std::vector<std::int32_t> parse_counts(std::string_view text, std::string_view flag, std::int32_t lowest = 0);

struct Size {
  std::int32_t width = 0, height = 0;
};
/// "512" (a square) or "1024x768", in a list. Throws Error(usage).
std::vector<Size> parse_sizes(std::string_view text, std::string_view flag);

/// Pieces between commas; empty ones are errors. Throws Error(usage).
std::vector<std::string_view> split_list(std::string_view text, std::string_view flag);

}  // namespace mtmd::bench
