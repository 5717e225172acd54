// Decoders of recordings, one file each: bytes -> one channel at the file's own rate, block by block.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mtmd/media/sound_bytes.h"
#include "mtmd/media/sound_stream.h"

namespace mtmd::media {

/// Frames of several channels -> their average. What no recording holds (NaN, infinity, beyond 2^20) becomes 0.
class Mixer {
 public:
  /// interleaved: [frames][channels]; unsigned_bytes: as Convention::reference reads 8-bit samples.
  void mix(std::span<const float> interleaved, int channels, std::span<float> mono, bool unsigned_bytes = false);
  std::int64_t unusable() const noexcept { return unusable_; }  ///< samples that became 0

 private:
  std::int64_t unusable_ = 0;
};

class SoundSource {
 public:
  virtual ~SoundSource() = default;
  std::string format;                       ///< e.g. "WAV s16le"
  int rate = 0, channels = 0;               ///< of the file
  std::optional<std::int64_t> frames = {};  ///< that the header promises
  bool exact = true;                        ///< and whether it is exact or knows but about how many
  std::vector<std::string> warnings = {};   ///< grow while reading

  /// Up to mono.size() frames; 0 at the end.
  virtual std::size_t read(std::span<float> mono) = 0;
  /// The next frame to be read becomes `frame`. False where that must be reached by reading; nothing happens then.
  virtual bool seek(std::int64_t frame) = 0;
  std::int64_t unusable() const noexcept { return mixer_.unusable(); }

 protected:
  Mixer mixer_;
};

/// Which decoder the first bytes ask for.
enum class SoundKind { none, libsndfile, mpeg, libav };
SoundKind sound_kind(std::string_view head) noexcept;

/// Each throws Error(input) for bytes that it cannot read; `bytes` outlives the result.
std::unique_ptr<SoundSource> open_libsndfile(SoundBytes& bytes, std::string_view name, bool reference_bytes);
std::unique_ptr<SoundSource> open_mpeg(SoundBytes& bytes,
                                       std::string_view name);  ///< MP3 and older layers, by libmpg123
std::unique_ptr<SoundSource> open_libav(SoundBytes& bytes, std::string_view name);
/// Where among the bytes the samples lie, and what to say of them.
struct PcmExtent {
  std::int64_t begin = 0;
  std::optional<std::int64_t> length = {};  ///< in bytes, as a header says; nothing: to the end
  /// Whether what follows behind `length` is sound all the same; null: no.
  bool (*goes_on)(std::string_view next) = nullptr;
  std::string_view container = "raw";
  bool reference_bytes = false;
};
std::unique_ptr<SoundSource> open_pcm(SoundBytes& bytes, const PcmFormat& format, const PcmExtent& extent = {});
/// Null for WAV files that hold something else than plain samples.
std::unique_ptr<SoundSource> open_plain_wav(SoundBytes& bytes, bool reference_bytes);
bool has_libav() noexcept;

/// The decoder for what the bytes hold. Pipes whose format cannot be read in order are spooled: `bytes` may change.
std::unique_ptr<SoundSource> open_sound_source(std::unique_ptr<SoundBytes>& bytes, std::string_view name,
                                               const std::optional<PcmFormat>& pcm, bool reference_bytes = false);

/// What there is to say at the end of `bytes`, of which the first `frames` frames were passed; `whole`: to the end.
std::vector<std::string> closing_warnings(SoundSource& source, const SoundBytes& bytes, std::int64_t frames,
                                          bool whole = true);

}  // namespace mtmd::media
