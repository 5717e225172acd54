#include "bench/ranges.h"

#include <charconv>

#include "engine/base/error.h"

namespace mtmd::bench {
namespace {

constexpr std::size_t kMost = 1000;

/// The count at the start of `text`, which is cut off.
std::int64_t take_count(std::string_view& text, std::string_view whole, std::string_view flag) {
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0)
    fail(ErrorCategory::usage, "bench: {} {}: expected counts, e.g. 512 or 256,512 or 256-1024*2 or 1-8+1", flag,
         whole);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

}  // namespace

std::vector<std::string_view> split_list(std::string_view text, std::string_view flag) {
  std::vector<std::string_view> pieces;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end == begin) fail(ErrorCategory::usage, "bench: {} {}: an empty place in the list", flag, text);
    pieces.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return pieces;
}

std::vector<std::int32_t> parse_counts(std::string_view text, std::string_view flag, std::int32_t lowest) {
  std::vector<std::int32_t> values;
  for (std::string_view piece : split_list(text, flag)) {
    std::int64_t value = take_count(piece, text, flag), last = value, step = 1;
    bool times = false;
    if (piece.starts_with('-')) {
      piece.remove_prefix(1);
      last = take_count(piece, text, flag);
      if (piece.starts_with('+') || piece.starts_with('*')) {
        times = piece.front() == '*';
        piece.remove_prefix(1);
        step = take_count(piece, text, flag);
      }
    }
    if (!piece.empty()) fail(ErrorCategory::usage, "bench: {} {}: '{}' is not understood", flag, text, piece);
    if (step < (times ? 2 : 1) || (times && value == 0) || last < value)
      fail(ErrorCategory::usage, "bench: {} {}: the range does not lead upwards", flag, text);
    if (value < lowest) fail(ErrorCategory::usage, "bench: {} {}: at least {}", flag, text, lowest);
    for (; value <= last; value = times ? value * step : value + step) {
      if (values.size() == kMost) fail(ErrorCategory::usage, "bench: {} {}: more than {} values", flag, text, kMost);
      values.push_back(static_cast<std::int32_t>(value));
    }
  }
  return values;
}

std::vector<Size> parse_sizes(std::string_view text, std::string_view flag) {
  std::vector<Size> sizes;
  for (std::string_view piece : split_list(text, flag)) {
    const auto width = static_cast<std::int32_t>(take_count(piece, text, flag));
    std::int32_t height = width;
    if (piece.starts_with('x')) {
      piece.remove_prefix(1);
      height = static_cast<std::int32_t>(take_count(piece, text, flag));
    }
    if (!piece.empty() || width < 1 || height < 1 || width > 16384 || height > 16384)
      fail(ErrorCategory::usage, "bench: {} {}: expected sizes from 1 to 16384, e.g. 512 or 1024x768", flag, text);
    sizes.push_back({width, height});
  }
  return sizes;
}

}  // namespace mtmd::bench
