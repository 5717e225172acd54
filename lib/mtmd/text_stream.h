// Pieces of tokens -> text that may be shown: whole UTF-8 characters, nothing that may yet turn out to be a stop text.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mtmd {

class TextStream {
 public:
  TextStream(std::vector<std::string> stop, std::function<void(std::string_view)> show)
      : stop_(std::move(stop)), show_(std::move(show)) {}

  /// Returns true when a stop text is complete; it and what follows are dropped.
  bool push(std::string_view piece);
  /// Shows what was held back.
  void finish();
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
  std::size_t shown_ = 0;
  std::vector<std::string> stop_;
  std::function<void(std::string_view)> show_;
};

/// Bytes at the end of `text` that begin a UTF-8 character without completing it.
std::size_t incomplete_utf8_tail(std::string_view text) noexcept;

}  // namespace mtmd
