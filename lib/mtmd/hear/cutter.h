// A recording of any length -> windows of bounded length, cut where nobody speaks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "encoders/audio/vad.h"
#include "mtmd/hear/sound_window.h"

namespace mtmd {

struct CutOptions {
  double max_seconds = 30;       ///< of a window: what the model was trained for
  double overlap_seconds = 1;    ///< of two windows between which there is no pause
  double silence_seconds = 1.5;  ///< a longer pause is a window of its own, without speech
  audio::VoiceOptions voice = {};
};

/// The windows cover the recording to its last sample. One begins where the one before it ends, or, where that had to
/// be cut within speech (at its quietest point), earlier: they overlap then. A window that speaks begins and ends close
/// to its speech. Holds one window of samples and a few seconds.
class SoundCutter {
 public:
  /// Samples at audio::kRate; fewer than asked for, and then 0, only at the end (SoundStream::read).
  using Read = std::function<std::size_t(std::span<float>)>;
  explicit SoundCutter(Read read, const CutOptions& options = {});

  /// The next window; nothing at the end.
  std::optional<SoundWindow> next();

 private:
  bool more();
  std::int64_t end_of_speech() const;
  std::int64_t quietest(std::int64_t begin, std::int64_t end) const;
  std::optional<SoundWindow> window();
  SoundWindow take(std::int64_t end, std::int64_t overlap);
  std::int64_t known() const noexcept { return begin_ + static_cast<std::int64_t>(samples_.size()); }

  Read read_;
  audio::VoiceActivity voice_;
  const std::int64_t max_, overlap_, silence_;
  std::vector<float> samples_, block_;
  std::int64_t begin_ = 0;                     ///< of samples_
  std::deque<audio::SpeechSegment> segments_;  ///< that end behind begin_
  bool ended_ = false;
};

}  // namespace mtmd
