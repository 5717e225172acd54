#include "mtmd/media/sound_source.h"

#include <cmath>

#include "engine/base/error.h"

namespace mtmd::media {
namespace {

bool at(std::string_view bytes, std::size_t i, std::string_view text) {
  return bytes.substr(std::min(i, bytes.size()), text.size()) == text;
}
unsigned byte(std::string_view bytes, std::size_t i) {
  return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0;
}

/// Where the sound begins behind an ID3v2 tag.
std::size_t behind_tag(std::string_view head) {
  if (!at(head, 0, "ID3") || head.size() < 10) return 0;
  std::size_t size = 10;
  for (std::size_t i = 6, shift = 21; i < 10; ++i, shift -= 7) size += std::size_t{byte(head, i) & 0x7f} << shift;
  return size;
}

/// MP4 and its relatives begin with a box of one of these kinds; pictures (HEIF, AVIF) do as well.
bool is_mp4(std::string_view head) {
  for (const char* box : {"moov", "mdat", "wide", "free", "skip", "pnot"})
    if (at(head, 4, box)) return true;
  if (!at(head, 4, "ftyp")) return false;
  for (const char* brand : {"avif", "avis", "heic", "heix", "hevc", "hevx", "mif1", "msf1"})
    if (at(head, 8, brand)) return false;
  return true;
}

}  // namespace

void Mixer::mix(std::span<const float> interleaved, int channels, std::span<float> mono, bool unsigned_bytes) {
  constexpr float kMost = 1 << 20;
  const auto n = static_cast<std::size_t>(channels);
  for (std::size_t i = 0; i < mono.size(); ++i) {
    float sum = 0;
    for (std::size_t c = 0; c < n; ++c) {
      float v = interleaved[i * n + c];
      if (!(std::fabs(v) <= kMost)) v = 0, ++unusable_;
      sum += unsigned_bytes ? (v * 128.0f + 128.0f) * (2.0f / 255.0f) - 1.0f : v;
    }
    mono[i] = sum / static_cast<float>(channels);
  }
}

SoundKind sound_kind(std::string_view head) noexcept {
  if ((at(head, 0, "RIFF") || at(head, 0, "RF64") || at(head, 0, "RIFX")) && at(head, 8, "WAVE"))
    return SoundKind::libsndfile;
  if (at(head, 0, "FORM") && (at(head, 8, "AIFF") || at(head, 8, "AIFC"))) return SoundKind::libsndfile;
  if (at(head, 0, "fLaC") || at(head, 0, "OggS") || at(head, 0, ".snd") || at(head, 0, "caff"))
    return SoundKind::libsndfile;
  using namespace std::string_view_literals;
  if (at(head, 0, "riff\x2e\x91\xcf\x11"sv)) return SoundKind::libsndfile;  // W64
  const std::size_t begin = behind_tag(head);
  if (begin > 0 && at(head, begin, "fLaC")) return SoundKind::libsndfile;
  // Frames of MPEG audio begin with eleven ones, those of AAC with twelve and a layer that does not exist.
  if (byte(head, begin) == 0xff && (byte(head, begin + 1) & 0xe0) == 0xe0)
    return (byte(head, begin + 1) & 0x06) != 0      ? SoundKind::mpeg
           : (byte(head, begin + 1) & 0xf0) == 0xf0 ? SoundKind::libav
                                                    : SoundKind::none;
  if (begin > 0) return SoundKind::mpeg;
  if (is_mp4(head)) return SoundKind::libav;
  for (const std::string_view magic : {"\x1a\x45\xdf\xa3"sv, "#!AMR"sv, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"sv,
                                       "FLV\x01"sv, "\x00\x00\x01\xba"sv, "wvpk"sv, "MAC "sv, "TTA1"sv, "\x0b\x77"sv})
    if (at(head, 0, magic)) return SoundKind::libav;
  if (at(head, 0, "RIFF") && at(head, 8, "AVI ")) return SoundKind::libav;
  if (at(head, 0, "G") && at(head, 188, "G") && at(head, 376, "G")) return SoundKind::libav;  // MPEG-TS
  return SoundKind::none;
}

std::unique_ptr<SoundSource> open_sound_source(std::unique_ptr<SoundBytes>& bytes, std::string_view name,
                                               const std::optional<PcmFormat>& pcm, bool reference_bytes) {
  if (pcm) return open_pcm(*bytes, *pcm);
  const std::string head = bytes->head(1 << 12);
  const SoundKind kind = sound_kind(head);
  if (kind == SoundKind::none) {
    if (head.empty()) fail(ErrorCategory::input, "{}: empty, not a recording", name);
    fail(ErrorCategory::input, "{}: not a recording that can be read (WAV, AIFF, FLAC, Ogg Vorbis, Opus, MP3{})", name,
         has_libav() ? ", M4A, MP4, MKV, WebM, AAC, WMA, AMR …" : "");
  }
  if (kind == SoundKind::mpeg) return open_mpeg(*bytes, name);
  const bool in_order = kind == SoundKind::libsndfile && !at(head, 0, "OggS") && !at(head, 0, "caff");
  if (!bytes->size() && !in_order) bytes = spooled(*bytes, name);
  if (kind == SoundKind::libav) return open_libav(*bytes, name);
  if (at(head, 0, "RIFF"))
    if (auto wav = open_plain_wav(*bytes, reference_bytes)) return wav;
  try {
    return open_libsndfile(*bytes, name, reference_bytes);
  } catch (const Error&) {
    // libav knows more of what WAV and Ogg may hold.
    if (!has_libav() || !bytes->seek(0)) throw;
    const std::exception_ptr own = std::current_exception();
    try {
      return open_libav(*bytes, name);
    } catch (const Error&) {
      std::rethrow_exception(own);
    }
  }
}

std::vector<std::string> closing_warnings(SoundSource& source, const SoundBytes& bytes, std::int64_t frames,
                                          bool whole) {
  std::vector<std::string> all = std::exchange(source.warnings, {});
  if (const std::string failure = bytes.failure(); !failure.empty()) all.push_back("reading failed: " + failure);
  if (source.unusable() > 0)
    all.push_back(fmt::format("{} samples are no finite numbers and became 0", source.unusable()));
  const std::int64_t promised = source.frames.value_or(0);
  const std::int64_t slack = source.exact ? 0 : std::max<std::int64_t>(source.rate, promised / 20);
  if (whole && frames < promised - slack)
    all.push_back(fmt::format("the recording ends after {} of {} samples that its header promises", frames, promised));
  return all;
}

}  // namespace mtmd::media
