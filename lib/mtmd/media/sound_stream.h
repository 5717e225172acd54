// Recordings of any length, from files and pipes, as a stream of one channel at one rate. Memory does not grow with the
// recording.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mtmd/media/sound_file.h"

namespace mtmd::media {

/// Samples without a header.
enum class SampleType { u8, s8, s16le, s16be, s24le, s24be, s32le, s32be, f32le, f32be, f64le, f64be };
std::optional<SampleType> sample_type(std::string_view name) noexcept;  ///< by its name above
std::string sample_type_names();                                        ///< all of them, for messages and help

struct PcmFormat {
  SampleType type = SampleType::s16le;
  int rate = 16000, channels = 1;
};

struct SoundStreamOptions {
  int rate = 16000;
  double start_seconds = 0;
  std::optional<double> duration_seconds = {};  ///< nothing: to the end
  std::optional<PcmFormat> pcm = {};            ///< the bytes are samples; nothing: they announce their format
};

/// WAV, AIFF, FLAC, Ogg Vorbis, Opus, MP3 and, built with libav, what else holds sound: M4A, MP4, MKV, WebM, AAC, WMA,
/// AMR.
class SoundStream {
 public:
  /// Both throw Error(input): not there, not a recording, damaged before its first sample, no samples, a rate that is
  /// not within 1000 Hz … 2^20 Hz, a start behind the end. They read the first block.
  static SoundStream open_file(const std::filesystem::path& path, const SoundStreamOptions& options = {});
  /// The descriptor (stdin, a pipe) stays open and the caller's.
  static SoundStream open_fd(int fd, std::string name, const SoundStreamOptions& options = {});
  /// Bytes that outlive the stream.
  static SoundStream open_memory(std::span<const std::byte> bytes, std::string name,
                                 const SoundStreamOptions& options = {});
  ~SoundStream();
  SoundStream(SoundStream&&) noexcept;

  /// The next samples at options.rate (band-limited, libsoxr's high quality); fewer than asked for, and then 0, only at
  /// the end. Samples that are not finite become 0. Damage ends the stream early with a warning, it does not throw.
  std::size_t read(std::span<float> mono);
  /// Of the file: frames that were decoded so far and, growing with them, warnings.
  const SoundFacts& facts() const noexcept;
  /// What read() will give in all, for progress; nothing where the header does not say or cannot be believed.
  std::optional<double> duration_seconds() const noexcept;

 private:
  struct Impl;
  explicit SoundStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mtmd::media
