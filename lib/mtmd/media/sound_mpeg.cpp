// MPEG audio (MP3 and the layers before it) by libmpg123, which libsndfile uses as well but lets write to stderr.
#include <mpg123.h>

#include <algorithm>

#include "engine/base/error.h"
#include "mtmd/media/sound_source.h"

namespace mtmd::media {
namespace {

ssize_t read_bytes(void* bytes, void* to, std::size_t n) {
  return static_cast<ssize_t>(static_cast<SoundBytes*>(bytes)->read(to, n));
}
off_t seek_bytes(void* user, off_t offset, int whence) {
  auto& bytes = *static_cast<SoundBytes*>(user);
  if (!bytes.size()) return -1;  // libmpg123 then reads in order
  const off_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? bytes.tell() : *bytes.size();
  off_t to = 0;
  if (__builtin_add_overflow(base, offset, &to) || to < 0 || !bytes.seek(to)) return -1;
  return bytes.tell();
}

struct Delete {
  void operator()(mpg123_handle* h) const noexcept { mpg123_delete(h); }
};
using Handle = std::unique_ptr<mpg123_handle, Delete>;

class MpegSource final : public SoundSource {
 public:
  MpegSource(SoundBytes& bytes, std::string_view name) : bytes_(bytes) {
    static const int ready = mpg123_init();  // older versions want it
    int error = ready;
    handle_ = Handle(mpg123_new(nullptr, &error));
    if (!handle_) fail(ErrorCategory::internal, "libmpg123: {}", mpg123_plain_strerror(error));
    mpg123_handle* h = handle_.get();
    mpg123_param(h, MPG123_REMOVE_FLAGS, MPG123_AUTO_RESAMPLE, 0);
    mpg123_param(h, MPG123_ADD_FLAGS,
                 MPG123_QUIET | MPG123_FORCE_FLOAT | MPG123_GAPLESS | MPG123_SKIP_ID3V2 | MPG123_NO_FRANKENSTEIN |
                     (bytes.size() ? 0 : MPG123_SEEKBUFFER),
                 0);
    mpg123_param(h, MPG123_RESYNC_LIMIT, -1, 0);  // damage in the middle is skipped, however long
    mpg123_replace_reader_handle(h, read_bytes, seek_bytes, nullptr);
    long hz = 0;
    int encoding = 0;
    if (mpg123_open_handle(h, &bytes) != MPG123_OK || mpg123_getformat(h, &hz, &channels, &encoding) != MPG123_OK)
      fail(ErrorCategory::input, "{}: damaged recording: {}", name, mpg123_strerror(h));
    if (encoding != MPG123_ENC_FLOAT_32)
      fail(ErrorCategory::internal, "{}: libmpg123 decodes to encoding {}, expected floats", name, encoding);
    rate = static_cast<int>(hz), format = "MPEG audio";
    if (const off_t n = mpg123_length(h); n > 0) frames = n, exact = false;
  }

  std::size_t read(std::span<float> mono) override {
    const auto n_channels = static_cast<std::size_t>(channels);
    values_.resize(mono.size() * n_channels);
    std::size_t bytes = 0;
    const int code = ended_ ? MPG123_DONE
                            : mpg123_read(handle_.get(), reinterpret_cast<unsigned char*>(values_.data()),
                                          values_.size() * sizeof(float), &bytes);
    const std::size_t n = bytes / (sizeof(float) * n_channels);
    done_ += static_cast<std::int64_t>(n);
    if (code != MPG123_OK && !ended_) end(code);
    mixer_.mix(std::span(values_).first(n * n_channels), channels, mono.first(n));
    return n;
  }
  bool seek(std::int64_t frame) override {
    // The first frames behind a jump lack what they borrow from those before.
    const std::int64_t from = std::max<std::int64_t>(0, frame - rate / 2);
    if (!bytes_.size() || mpg123_seek(handle_.get(), from, SEEK_SET) != from) return false;
    std::vector<float> ignored(static_cast<std::size_t>(frame - from));
    for (std::size_t at = 0; at < ignored.size();) {
      const std::size_t n = read(std::span(ignored).subspan(at));
      if (n == 0) break;
      at += n;
    }
    done_ = frame;
    return true;
  }

 private:
  void end(int code) {
    ended_ = true;
    if (code == MPG123_NEW_FORMAT) {
      warnings.push_back(
          fmt::format("the sound changes its rate or channels after {} samples and is read up to there", done_));
    } else if (code != MPG123_DONE) {
      warnings.emplace_back(mpg123_strerror(handle_.get()));
    }
  }

  SoundBytes& bytes_;
  Handle handle_;
  std::vector<float> values_;
  std::int64_t done_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<SoundSource> open_mpeg(SoundBytes& bytes, std::string_view name) {
  return std::make_unique<MpegSource>(bytes, name);
}

}  // namespace mtmd::media
