#include "mtmd/text_stream.h"

#include <algorithm>

namespace mtmd {

std::size_t incomplete_utf8_tail(std::string_view text) noexcept {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;  // a continuation byte: its lead byte lies further left
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

bool TextStream::push(std::string_view piece) {
  const std::size_t before = text_.size();
  text_ += piece;
  std::size_t held = incomplete_utf8_tail(text_);
  for (const std::string& stop : stop_) {
    if (stop.empty()) continue;
    const std::size_t from = before - std::min(before, stop.size() - 1);
    if (const auto at = text_.find(stop, from); at != text_.npos) {
      text_.resize(at);
      return true;
    }
    for (std::size_t n = std::min(stop.size() - 1, text_.size()); n > held; --n)
      if (text_.ends_with(std::string_view(stop).substr(0, n))) {
        held = n;
        break;
      }
  }
  const std::size_t upto = text_.size() - held;
  if (upto > shown_ && show_) show_(std::string_view(text_).substr(shown_, upto - shown_));
  shown_ = std::max(shown_, upto);
  return false;
}

void TextStream::finish() {
  if (shown_ < text_.size() && show_) show_(std::string_view(text_).substr(shown_));
  shown_ = text_.size();
}

}  // namespace mtmd
