#include "engine/sampling/grammar_utf8.h"

#include <algorithm>

namespace mtmd::grammar {
namespace {

std::uint8_t byte_of(std::uint32_t c, int length, int i) {
  constexpr std::uint8_t kLead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  const int shift = 6 * (length - 1 - i);
  if (i == 0) return static_cast<std::uint8_t>(kLead[length] | (c >> shift));
  return static_cast<std::uint8_t>(0x80 | ((c >> shift) & 0x3F));
}

/// Both ends have the same length. Cuts until every byte varies over a range of its own.
void split(Range r, int length, std::vector<std::vector<ByteRange>>& out) {
  for (int i = 1; i < length; ++i) {
    const std::uint32_t low = (1u << (6 * i)) - 1;
    if ((r.first & ~low) == (r.last & ~low)) continue;
    if ((r.first & low) != 0) {
      split({r.first, r.first | low}, length, out);
      split({(r.first | low) + 1, r.last}, length, out);
      return;
    }
    if ((r.last & low) != low) {
      split({r.first, (r.last & ~low) - 1}, length, out);
      split({r.last & ~low, r.last}, length, out);
      return;
    }
  }
  std::vector<ByteRange> bytes;
  for (int i = 0; i < length; ++i) bytes.push_back({byte_of(r.first, length, i), byte_of(r.last, length, i)});
  out.push_back(std::move(bytes));
}

}  // namespace

std::vector<std::vector<ByteRange>> utf8_sequences(Range range) {
  constexpr std::uint32_t kLast[] = {0, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
  std::vector<std::vector<ByteRange>> out;
  for (int length = 1; length <= 4; ++length) {
    const Range part{std::max(range.first, length > 1 ? kLast[length - 1] + 1 : 0),
                     std::min(range.last, kLast[length])};
    if (part.first <= part.last) split(part, length, out);
  }
  return out;
}

}  // namespace mtmd::grammar
