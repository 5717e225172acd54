// What was said when.
#pragma once

#include <string>
#include <string_view>

namespace mtmd {

/// Where the times of a segment come from.
enum class Timing {
  window,  ///< the piece of the recording that the model heard at once
  speech,  ///< where speech begins and ends within that piece (voice activity)
};

constexpr std::string_view name(Timing timing) noexcept { return timing == Timing::window ? "window" : "speech"; }

struct Segment {
  double begin = 0, end = 0;  ///< seconds from the start of the recording
  std::string text;           ///< UTF-8
  Timing timing = Timing::window;
};

}  // namespace mtmd
