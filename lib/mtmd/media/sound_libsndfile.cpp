// WAV, AIFF, FLAC, Ogg Vorbis, Opus, AU, CAF, W64 by libsndfile.
#include <sndfile.h>

#include <algorithm>

#include "engine/base/error.h"
#include "mtmd/media/sound_source.h"

namespace mtmd::media {
namespace {

sf_count_t length(void* bytes) { return static_cast<SoundBytes*>(bytes)->size().value_or(SF_COUNT_MAX); }
sf_count_t tell(void* bytes) { return static_cast<SoundBytes*>(bytes)->tell(); }
sf_count_t seek(sf_count_t offset, int whence, void* user) {
  auto& bytes = *static_cast<SoundBytes*>(user);
  const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? bytes.tell() : length(user);
  sf_count_t to = 0;
  if (__builtin_add_overflow(base, offset, &to) || to < 0 || !bytes.seek(to)) return -1;
  return bytes.tell();
}
sf_count_t read(void* to, sf_count_t n, void* bytes) {
  return n <= 0 ? 0 : static_cast<sf_count_t>(static_cast<SoundBytes*>(bytes)->read(to, static_cast<std::size_t>(n)));
}
sf_count_t write(const void*, sf_count_t, void*) { return 0; }

struct Close {
  void operator()(SNDFILE* file) const noexcept { sf_close(file); }
};

std::string format_name(int format) {
  SF_FORMAT_INFO info{};
  info.format = format & SF_FORMAT_TYPEMASK;
  const int failed = sf_command(nullptr, SFC_GET_FORMAT_INFO, &info, sizeof info);
  return failed == 0 && info.name != nullptr ? info.name : "unknown";
}

class SndfileSource final : public SoundSource {
 public:
  SndfileSource(SoundBytes& bytes, std::string_view name, bool reference_bytes) : bytes_(bytes) {
    SF_VIRTUAL_IO io{length, media::seek, media::read, write, tell};
    file_.reset(sf_open_virtual(&io, SFM_READ, &info_, &bytes));
    if (!file_) fail(ErrorCategory::input, "{}: damaged recording: {}", name, sf_strerror(nullptr));
    format = format_name(info_.format), rate = info_.samplerate, channels = info_.channels;
    constexpr sf_count_t kMost = sf_count_t{1} << 48;  // of a pipe it does not know, and says so with large numbers
    if (info_.frames > 0 && info_.frames < kMost) frames = info_.frames;
    unsigned_bytes_ = reference_bytes && (info_.format & SF_FORMAT_SUBMASK) == SF_FORMAT_PCM_U8;
  }

  std::size_t read(std::span<float> mono) override {
    values_.resize(mono.size() * static_cast<std::size_t>(channels));
    const sf_count_t got = std::max<sf_count_t>(0, sf_readf_float(file_.get(), values_.data(), std::ssize(mono)));
    const auto n = static_cast<std::size_t>(got);
    if (n == 0 && !ended_) {
      ended_ = true;
      if (sf_error(file_.get()) != SF_ERR_NO_ERROR) warnings.emplace_back(sf_strerror(file_.get()));
    }
    mixer_.mix(std::span(values_).first(n * static_cast<std::size_t>(channels)), channels, mono.first(n),
               unsigned_bytes_);
    return n;
  }
  bool seek(std::int64_t frame) override {
    return bytes_.size() && info_.seekable != 0 && sf_seek(file_.get(), frame, SEEK_SET) == frame;
  }

 private:
  SoundBytes& bytes_;
  SF_INFO info_{};
  std::unique_ptr<SNDFILE, Close> file_;
  std::vector<float> values_;
  bool unsigned_bytes_ = false, ended_ = false;
};

}  // namespace

std::unique_ptr<SoundSource> open_libsndfile(SoundBytes& bytes, std::string_view name, bool reference_bytes) {
  return std::make_unique<SndfileSource>(bytes, name, reference_bytes);
}

}  // namespace mtmd::media
