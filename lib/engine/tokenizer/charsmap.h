// SentencePiece's precompiled character map: which characters are written as which others before a text is cut.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/gguf.h"
#include "engine/tokenizer/unicode.h"

namespace mtmd {

/// tokenizer.ggml.precompiled_charsmap: the bytes of a Darts double array (its length as a 32-bit number first) whose
/// values are places in the texts behind it, each ended by a zero. Empty when the file has none.
class CharsMap {
 public:
  /// Throws Error(model) for a map that does not hold what it announces.
  explicit CharsMap(const gguf::Metadata& metadata);

  /// Hands `put` what the longest mapped beginning of `text` (not empty) becomes, else its first character (U+FFFD for
  /// a byte that is not UTF-8). Returns the bytes of `text` that this stands for.
  template <class F>
  std::size_t replace(std::string_view text, F&& put) const {
    if (const auto found = longest(text); found.length > 0) {
      put(found.text);
      return found.length;
    }
    const auto d = unicode::decode(text.data(), text.data() + text.size());
    put(d.valid ? text.substr(0, d.length) : std::string_view("\xEF\xBF\xBD"));
    return d.length;
  }

 private:
  struct Found {
    std::size_t length = 0;
    std::string_view text{};
  };
  Found longest(std::string_view text) const noexcept;
  std::vector<std::uint32_t> units_;
  std::string texts_;
};

}  // namespace mtmd
