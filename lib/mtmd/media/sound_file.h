// Recordings from bytes: what libsndfile reads (WAV, AIFF, FLAC, Ogg Vorbis, Opus, MP3), mixed to one channel. The type
// is found from the content, never from a file name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mtmd/media/image_file.h"

namespace mtmd::media {

/// Whether the first bytes announce a recording.
bool is_sound(std::span<const std::byte> bytes) noexcept;

struct SoundFacts {
  std::string format;                 ///< of the file, e.g. "WAV s16le"
  int rate = 0, channels = 0;         ///< of the file
  std::int64_t frames = 0;            ///< read, one sample per channel each
  std::vector<std::string> warnings;  ///< the recording is complete, unless one of these says otherwise
};

struct DecodedSound {
  std::vector<float> samples;  ///< one channel (the average of all) at facts.rate; -1..1, beyond where a file says so
  SoundFacts facts;
};

struct SoundOptions {
  /// reference: 8-bit samples u become u * 2 / 255 - 1; people: (u - 128) / 128, so that silence is 0.
  Convention convention = Convention::people;
  double max_seconds = 4 * 3600;
};

/// Decodes all of `bytes`; `name` is for messages. A file that ends early gives what is there and a warning.
/// Throws Error(input) when the format is unknown, the header damaged, or nothing can be read, Error(resource) when the
/// recording is longer than the limit.
DecodedSound decode_sound(std::span<const std::byte> bytes, std::string_view name, const SoundOptions& options = {});

/// The same sound at another rate (band-limited, libsoxr's high quality); rates 1 to 2^20 Hz.
std::vector<float> resample(std::span<const float> samples, int from, int to);

}  // namespace mtmd::media
