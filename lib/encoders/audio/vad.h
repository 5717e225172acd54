// Where in a recording somebody speaks. Speech is what rises above the noise in several bands at once and comes and
// goes: the noise of a band is what it falls back to both before and after a moment, so steady sounds (hum, hiss,
// a held tone) are noise however loud they are.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace mtmd::audio {

/// Samples [begin, end) of the recording.
struct SpeechSegment {
  std::int64_t begin = 0, end = 0;
  bool operator==(const SpeechSegment&) const = default;
};

struct VoiceOptions {
  double min_speech_seconds = 0.10;  ///< shorter ones are clicks
  double min_pause_seconds = 0.30;   ///< shorter ones belong to the speech around them
  double padding_seconds = 0.15;     ///< added to both ends; at most half of min_pause_seconds
};

/// Streaming and deterministic: how the samples are split into calls changes nothing. Sound is mono at audio::kRate.
/// Decisions come about 2.5 s late. Memory does not grow.
class VoiceActivity {
 public:
  explicit VoiceActivity(const VoiceOptions& options = {});
  ~VoiceActivity();
  VoiceActivity(VoiceActivity&&) noexcept;

  void push(std::span<const float> samples);
  /// There are no more samples; everything is decided now.
  void finish();
  /// Segments that became complete since the last call, in order, apart from each other.
  std::vector<SpeechSegment> take();
  /// Every sample before this one is decided: it lies in a segment that take() gave or gives, in the open one, or in
  /// none.
  std::int64_t decided() const noexcept;
  /// Where the segment begins that has not ended yet; it covers everything up to decided().
  std::optional<std::int64_t> open_since() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mtmd::audio
