// Recordings of any length -> text with times. Nothing is printed; one window of sound is in memory at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mtmd/hear/segment.h"
#include "mtmd/hear/sound_window.h"
#include "mtmd/session.h"

namespace mtmd {

struct HearOptions {
  std::string prompt = {};    ///< empty: what the model was trained to be asked (AudioPresets)
  std::string system = {};    ///< empty: the one the model was trained with, if any
  std::string language = {};  ///< name or ISO 639 code; empty or "auto": the model finds out
  bool context = false;       ///< the text so far is part of the prompt, except behind a loop
  bool vad = true;            ///< windows without speech are not shown to the model: silence has no text
  bool retry = true;          ///< what loops or does not end is heard again: in halves, then at other temperatures
  bool strip_thinking = true;
  GenerateOptions generate = {};  ///< max_tokens < 0: what can be said in a window's time; timeout: of a recording
};

/// One try at a piece of a window.
struct Attempt {
  double begin = 0, end = 0;  ///< seconds from the start of the window
  float temperature = 0;
  FinishReason finish = FinishReason::stop;
};

/// What became of one window.
struct HeardWindow {
  std::int64_t begin = 0, end = 0;                ///< samples at audio::kRate
  std::int64_t speech_begin = 0, speech_end = 0;  ///< equal: no speech
  std::string text;
  FinishReason finish = FinishReason::stop;  ///< the worst among the tries that were kept
  std::vector<Attempt> attempts;             ///< empty when the model was not asked
  int n_tokens = 0;                          ///< of sound
};

struct Transcript {
  std::vector<Segment> segments;     ///< ascending, without overlaps; none is empty
  std::vector<HeardWindow> windows;  ///< with their texts as heard, before overlaps were cut
  FinishReason finish = FinishReason::stop;
  double seconds = 0;         ///< up to which the recording was heard; less than its length when stopped before
  double heard_seconds = 0;  ///< of windows that the model heard
  int n_tokens = 0;           ///< of sound
  int n_recalled = 0;         ///< windows that hooks.recall knew
  Timings timings;

  std::string text() const;  ///< a line per segment
};

/// All optional.
struct HearHooks {
  /// What an earlier run kept under this key, a hash of the window's samples and of the context it was heard in.
  std::function<std::optional<HeardWindow>(const std::string& key)> recall = {};
  std::function<void(const std::string& key, const HeardWindow&)> keep = {};
  std::function<void(const Segment&)> segment = {};   ///< in order, each when nothing can change it any more
  std::function<void(double seconds)> progress = {};  ///< the recording is done up to here
};

class Transcriber {
 public:
  /// Throws Error(usage) for a model without an audio encoder.
  explicit Transcriber(std::shared_ptr<const Model> model, const SessionOptions& options = {});

  /// Throws Error(usage) for options that this model cannot honour.
  void check(const HearOptions& options) const;
  /// Seconds that this model takes at once, as it was trained.
  double window_seconds() const;

  /// Hears window after window until `next` has no more, the time is over or the user cancels (Transcript::finish).
  /// Throws Error(internal) when a window begins behind the end of the one before it: sound would be lost.
  Transcript transcribe(const std::function<std::optional<SoundWindow>()>& next, const HearOptions& options,
                        const HearHooks& hooks = {});
  const Model& model() const noexcept { return session_.model(); }

 private:
  struct Hearing;
  Session session_;
};

}  // namespace mtmd
