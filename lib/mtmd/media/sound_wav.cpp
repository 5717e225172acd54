// WAV files of plain samples, read by their chunks rather than by libsndfile, because their sizes so often lie: 0 after
// a recorder was switched off, 2^32 - 1 from a pipe, the remainder of 2^32 for long recordings, more than what was
// copied. What lies behind the header is sound until the bytes end or another chunk begins.
#include <array>
#include <cstring>

#include "engine/base/error.h"
#include "mtmd/media/sound_source.h"

namespace mtmd::media {
namespace {

constexpr std::int64_t kPlaceholder = 0x7fff0000;  ///< sizes from here on are what writers put where they cannot know
constexpr int kMostChunks = 1000;

std::uint32_t u32(const char* p) {
  std::uint32_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}
std::uint16_t u16(const char* p) {
  std::uint16_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}

/// Whether these bytes, found where the samples should end, are samples all the same.
bool goes_on(std::string_view next) {
  static constexpr std::array<std::string_view, 24> kChunks = {
      "LIST", "id3 ", "ID3 ", "bext", "cue ", "smpl", "JUNK", "junk", "fact", "PEAK", "iXML", "_PMX",
      "inst", "acid", "DISP", "afsp", "PAD ", "FLLR", "qlty", "mext", "levl", "axml", "cart", "umid"};
  if (next.size() < 8) return false;
  for (const std::string_view chunk : kChunks)
    if (next.starts_with(chunk)) return false;
  return true;
}

/// What a fmt chunk says, if that is plain samples.
std::optional<PcmFormat> pcm_format(std::string_view fmt) {
  if (fmt.size() < 16) return std::nullopt;
  std::uint16_t tag = u16(fmt.data());
  const std::uint16_t channels = u16(fmt.data() + 2), align = u16(fmt.data() + 12), bits = u16(fmt.data() + 14);
  if (tag == 0xfffe && fmt.size() >= 40) tag = u16(fmt.data() + 24);  // the extensible header's GUID begins with it
  PcmFormat pcm;
  pcm.rate = static_cast<int>(std::min<std::uint32_t>(u32(fmt.data() + 4), 0x7fffffff)), pcm.channels = channels;
  if (channels < 1 || channels > 1024 || bits % 8 != 0 || align != channels * (bits / 8)) return std::nullopt;
  if (tag == 1 && bits == 8)
    pcm.type = SampleType::u8;
  else if (tag == 1 && bits == 16)
    pcm.type = SampleType::s16le;
  else if (tag == 1 && bits == 24)
    pcm.type = SampleType::s24le;
  else if (tag == 1 && bits == 32)
    pcm.type = SampleType::s32le;
  else if (tag == 3 && bits == 32)
    pcm.type = SampleType::f32le;
  else if (tag == 3 && bits == 64)
    pcm.type = SampleType::f64le;
  else
    return std::nullopt;
  return pcm;
}

}  // namespace

std::unique_ptr<SoundSource> open_plain_wav(SoundBytes& bytes, bool reference_bytes) {
  std::optional<PcmFormat> pcm;
  bytes.seek(12);
  for (int i = 0; i < kMostChunks; ++i) {
    std::array<char, 8> header{};
    if (bytes.read(header.data(), header.size()) < header.size()) break;
    const std::string_view id(header.data(), 4);
    const std::int64_t size = u32(header.data() + 4), begin = bytes.tell();
    if (id == "data") {
      if (!pcm) break;
      PcmExtent extent{begin, size, goes_on, "WAV", reference_bytes};
      if (size >= kPlaceholder && (!bytes.size() || begin + size > *bytes.size())) extent.length.reset();
      return open_pcm(bytes, *pcm, extent);
    }
    if (id == "fmt ") {
      std::string fmt(static_cast<std::size_t>(std::min<std::int64_t>(size, 64)), '\0');
      fmt.resize(bytes.read(fmt.data(), fmt.size()));
      pcm = pcm_format(fmt);
      if (!pcm) break;
    }
    if (!bytes.seek(begin + size + size % 2)) break;
  }
  bytes.seek(0);
  return nullptr;
}

}  // namespace mtmd::media
