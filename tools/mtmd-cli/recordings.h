// Recordings of a batch: flags, transcription with progress and journal, the JSON of it.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mtmd-cli/batch.h"
#include "mtmd/hear/transcriber.h"
#include "mtmd/media/sound_stream.h"

namespace mtmd::cli {

/// --start --duration --pcm-rate --pcm-format --pcm-channels --window --vad --context --no-retry -l
struct SoundFlags {
  std::string language;
  double start = 0, duration = 0, window = 0;
  int pcm_rate = 0, pcm_channels = 1;
  std::string pcm_format;
  bool vad = true, context = false, no_retry = false;
  void add(CLI::App& app);
  media::SoundStreamOptions stream() const;
  HearOptions hear() const;
  std::string settings() const;  ///< for the settings hash of --resume
};

/// What became of one recording.
struct Recording {
  Transcript transcript;       ///< segments in the time of the file, windows in that of what was read of it
  double start = 0;            ///< where reading began, in seconds
  std::string format;          ///< of the file
  int rate = 0, channels = 0;  ///< of the file
  double seconds = 0;          ///< that could be read
  std::vector<std::string> warnings;
  bool partial = false;    ///< not all of it could be read or heard
  bool cut_short = false;  ///< what --strict complains of
};

/// SHA-256 of a file, read in blocks; empty for what can be read only once.
std::string content_of(const std::string& path);

/// "-" is stdin. Throws Error(input).
media::SoundStream open_recording(const std::string& path, const SoundFlags& flags);

/// Nothing when cancelled. Warnings are said, too. `on_segment` as HearHooks::segment.
std::optional<Recording> transcribe(Console& console, Transcriber& transcriber, media::SoundStream stream,
                                    const SoundFlags& flags, const HearOptions& options, const std::string& path,
                                    BatchItem& item, const std::function<void(const Segment&)>& on_segment = {});

/// {kind, format, rate, channels, seconds, covered_seconds, heard_seconds, tokens, tiles}
Json media_json(const Recording& recording);
/// {begin, end, text, timing} of every segment.
Json segments_json(const Transcript& transcript);
/// {begin, end, speech, finish_reason, attempts} of every window.
Json windows_json(const Recording& recording);

}  // namespace mtmd::cli
