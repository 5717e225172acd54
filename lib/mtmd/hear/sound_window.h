// A piece of a recording that is heard at once.
#pragma once

#include <cstdint>
#include <vector>

namespace mtmd {

struct SoundWindow {
  std::int64_t begin = 0;                         ///< sample of the recording, at audio::kRate
  std::vector<float> samples = {};                ///< mono, at audio::kRate
  std::int64_t speech_begin = 0, speech_end = 0;  ///< of the recording, where speech was found; equal: nowhere

  std::int64_t end() const noexcept { return begin + static_cast<std::int64_t>(samples.size()); }
  bool speaks() const noexcept { return speech_end > speech_begin; }
};

}  // namespace mtmd
