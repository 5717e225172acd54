#include "mtmd/media/sound_file.h"

#include <sndfile.h>
#include <soxr.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "engine/base/error.h"

namespace mtmd::media {
namespace {

constexpr int kMostRate = 1 << 20;
constexpr std::int64_t kBlock = 1 << 14;  ///< frames read at once

/// libsndfile's view of a file in memory.
struct Memory {
  std::span<const std::byte> bytes;
  sf_count_t at = 0;

  static sf_count_t length(void* m) { return static_cast<sf_count_t>(static_cast<Memory*>(m)->bytes.size()); }
  static sf_count_t tell(void* m) { return static_cast<Memory*>(m)->at; }
  static sf_count_t seek(sf_count_t offset, int whence, void* m) {
    auto& self = *static_cast<Memory*>(m);
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? self.at : length(m);
    sf_count_t to = 0;
    if (__builtin_add_overflow(base, offset, &to)) return self.at;
    return self.at = std::clamp<sf_count_t>(to, 0, length(m));
  }
  static sf_count_t read(void* to, sf_count_t n, void* m) {
    auto& self = *static_cast<Memory*>(m);
    n = std::clamp<sf_count_t>(n, 0, length(m) - self.at);
    if (n > 0) std::memcpy(to, self.bytes.data() + self.at, static_cast<std::size_t>(n));
    self.at += n;
    return n;
  }
  static sf_count_t write(const void*, sf_count_t, void*) { return 0; }
};

struct Close {
  void operator()(SNDFILE* file) const noexcept { sf_close(file); }
};

std::string format_name(int format) {
  SF_FORMAT_INFO info{};
  info.format = format & SF_FORMAT_TYPEMASK;
  const int failed = sf_command(nullptr, SFC_GET_FORMAT_INFO, &info, sizeof info);
  return failed == 0 && info.name != nullptr ? info.name : "unknown";
}

/// A block of frames -> one channel, behind what is there.
void mix(std::vector<float>& out, std::span<const float> block, int channels, bool unsigned_bytes) {
  const auto n = static_cast<std::size_t>(channels);
  for (std::size_t i = 0; i + n <= block.size(); i += n) {
    float sum = 0;
    for (std::size_t c = 0; c < n; ++c) {
      const float v = block[i + c];
      sum += unsigned_bytes ? (v * 128.0f + 128.0f) * (2.0f / 255.0f) - 1.0f : v;
    }
    out.push_back(sum / static_cast<float>(channels));
  }
}

void read_all(SNDFILE* file, const SF_INFO& info, std::string_view name, const SoundOptions& options,
              DecodedSound& out) {
  const bool bytes =
      options.convention == Convention::reference && (info.format & SF_FORMAT_SUBMASK) == SF_FORMAT_PCM_U8;
  const auto most = static_cast<std::int64_t>(options.max_seconds * info.samplerate);
  std::vector<float> block(static_cast<std::size_t>(std::max<std::int64_t>(1, kBlock / info.channels)) *
                           static_cast<std::size_t>(info.channels));
  const auto frames_at_once = static_cast<sf_count_t>(block.size()) / info.channels;
  for (sf_count_t n = 0; (n = sf_readf_float(file, block.data(), frames_at_once)) > 0;) {
    out.facts.frames += n;
    if (out.facts.frames > most)
      fail(ErrorCategory::resource, "{}: the recording is longer than {} s; cut it", name, options.max_seconds);
    mix(out.samples, std::span(block).first(static_cast<std::size_t>(n * info.channels)), info.channels, bytes);
  }
  if (sf_error(file) != SF_ERR_NO_ERROR) out.facts.warnings.emplace_back(sf_strerror(file));
  if (out.facts.frames < info.frames && info.frames != SF_COUNT_MAX)
    out.facts.warnings.push_back(fmt::format("the recording ends after {} of {} samples that its header promises",
                                             out.facts.frames, info.frames));
}

}  // namespace

bool is_sound(std::span<const std::byte> bytes) noexcept {
  const auto at = [&](std::size_t i, std::string_view text) {
    return bytes.size() >= i + text.size() && std::memcmp(bytes.data() + i, text.data(), text.size()) == 0;
  };
  if ((at(0, "RIFF") || at(0, "RF64") || at(0, "RIFX")) && at(8, "WAVE")) return true;
  if (at(0, "FORM") && (at(8, "AIFF") || at(8, "AIFC"))) return true;
  if (at(0, "fLaC") || at(0, "OggS") || at(0, "ID3")) return true;
  // A frame of MPEG audio: eleven ones, then a layer that exists.
  return bytes.size() >= 4 && bytes[0] == std::byte{0xff} && (bytes[1] & std::byte{0xe0}) == std::byte{0xe0} &&
         (bytes[1] & std::byte{0x06}) != std::byte{0};
}

DecodedSound decode_sound(std::span<const std::byte> bytes, std::string_view name, const SoundOptions& options) {
  if (!is_sound(bytes))
    fail(ErrorCategory::input, "{}: not a recording that can be read (WAV, AIFF, FLAC, Ogg Vorbis, Opus, MP3)", name);
  Memory memory{bytes};
  SF_VIRTUAL_IO io{Memory::length, Memory::seek, Memory::read, Memory::write, Memory::tell};
  SF_INFO info{};
  const std::unique_ptr<SNDFILE, Close> file(sf_open_virtual(&io, SFM_READ, &info, &memory));
  if (!file) fail(ErrorCategory::input, "{}: damaged recording: {}", name, sf_strerror(nullptr));
  if (info.channels < 1 || info.samplerate < 1 || info.samplerate > kMostRate)
    fail(ErrorCategory::input, "{}: a recording of {} channels at {} Hz, expected at least 1 and 1 to {} Hz", name,
         info.channels, info.samplerate, kMostRate);
  DecodedSound out;
  out.facts.format = format_name(info.format), out.facts.rate = info.samplerate, out.facts.channels = info.channels;
  read_all(file.get(), info, name, options, out);
  if (out.samples.empty()) {
    fail(ErrorCategory::input, "{}: the recording holds no samples{}", name,
         out.facts.warnings.empty() ? "" : ": " + out.facts.warnings.front());
  }
  return out;
}

std::vector<float> resample(std::span<const float> samples, int from, int to) {
  if (from < 1 || to < 1 || from > kMostRate || to > kMostRate)
    fail(ErrorCategory::input, "cannot resample from {} Hz to {} Hz, expected 1 to {}", from, to, kMostRate);
  if (from == to || samples.empty()) return {samples.begin(), samples.end()};
  const double wanted = std::ceil(static_cast<double>(samples.size()) * to / from);
  if (wanted > 1e10)
    fail(ErrorCategory::resource, "{} samples at {} Hz are too many at {} Hz", samples.size(), from, to);
  std::vector<float> out(static_cast<std::size_t>(wanted));
  std::size_t used = 0, made = 0;
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  if (const soxr_error_t error = soxr_oneshot(from, to, 1, samples.data(), samples.size(), &used, out.data(),
                                              out.size(), &made, nullptr, &quality, nullptr)) {
    fail(ErrorCategory::internal, "resampling from {} Hz to {} Hz: {}", from, to, error);
  }
  out.resize(made);
  return out;
}

}  // namespace mtmd::media
