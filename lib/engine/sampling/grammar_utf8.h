#pragma once

#include <cstdint>
#include <vector>

#include "engine/sampling/grammar_syntax.h"

namespace mtmd::grammar {

struct ByteRange {
  std::uint8_t first, last;
  auto operator<=>(const ByteRange&) const = default;
};

/// Byte ranges in a row (1 to 4) that together spell exactly the characters of `range`, which has no surrogates.
std::vector<std::vector<ByteRange>> utf8_sequences(Range range);

}  // namespace mtmd::grammar
