#include "mtmd/media/sound_stream.h"

#include <soxr.h>

#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "mtmd/media/sound_source.h"

namespace mtmd::media {
namespace {

constexpr std::size_t kBlock = 1 << 14;      ///< frames read at once
constexpr double kLeastBytesPerSecond = 20;  ///< a header that promises more sound for its bytes is not believed

/// One channel from one rate to another, block by block.
class Resampler {
 public:
  Resampler(int from, int to) : same_(from == to) {
    if (same_) return;
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    soxr_error_t error = nullptr;
    soxr_.reset(soxr_create(from, to, 1, &error, nullptr, &quality, nullptr));
    if (error != nullptr) fail(ErrorCategory::internal, "resampling from {} Hz to {} Hz: {}", from, to, error);
  }

  /// Takes of `in` what it can (`used`) and gives what it has; with `last` there is nothing behind `in`.
  std::size_t run(std::span<const float> in, std::size_t& used, std::span<float> out, bool last) {
    if (same_) {
      used = std::min(in.size(), out.size());
      std::copy_n(in.begin(), used, out.begin());
      return used;
    }
    std::size_t made = 0;
    used = 0;
    const bool end = last && in.empty();
    if (const soxr_error_t error =
            soxr_process(soxr_.get(), end ? nullptr : in.data(), in.size(), &used, out.data(), out.size(), &made))
      fail(ErrorCategory::internal, "resampling: {}", error);
    return made;
  }

 private:
  struct Delete {
    void operator()(soxr_t s) const noexcept { soxr_delete(s); }
  };
  bool same_;
  std::unique_ptr<std::remove_pointer_t<soxr_t>, Delete> soxr_;
};

std::int64_t frames_in(double seconds, int rate, std::string_view what, std::string_view name) {
  if (!(seconds >= 0) || seconds > 1e9)
    fail(ErrorCategory::usage, "{}: {} of {} s, expected 0 to 1e9", name, what, seconds);
  return static_cast<std::int64_t>(std::llround(seconds * rate));
}

}  // namespace

struct SoundStream::Impl {
  Impl(std::unique_ptr<SoundBytes> from, std::string name_, const SoundStreamOptions& options)
      : bytes(std::move(from)),
        name(std::move(name_)),
        source(open_sound_source(bytes, name, options.pcm)),
        rate(options.rate),
        resampler(checked_rate(), options.rate) {
    facts.format = source->format, facts.rate = source->rate, facts.channels = source->channels;
    begin = frames_in(options.start_seconds, source->rate, "a start", name);
    left = options.duration_seconds ? frames_in(*options.duration_seconds, source->rate, "a duration", name)
                                    : std::numeric_limits<std::int64_t>::max();
    skip();
    fill();
    if (block.empty() && left > 0) {
      fail(ErrorCategory::input, "{}: the recording holds no samples{}", name,
           facts.warnings.empty() ? "" : ": " + facts.warnings.front());
    }
  }

  int checked_rate() const {
    constexpr int kLeast = 1000, kMost = 1 << 20;
    if (source->channels < 1 || source->rate < kLeast || source->rate > kMost)
      fail(ErrorCategory::input, "{}: a recording of {} channels at {} Hz, expected at least 1 and {} to {} Hz", name,
           source->channels, source->rate, kLeast, kMost);
    return source->rate;
  }

  /// To the first frame that is wanted.
  void skip() {
    if (begin == 0 || source->seek(begin)) return;
    std::vector<float> ignored(kBlock);
    for (std::int64_t passed = 0; passed < begin;) {
      const auto n = std::min<std::int64_t>(std::ssize(ignored), begin - passed);
      const std::size_t got = source->read(std::span(ignored).first(static_cast<std::size_t>(n)));
      if (got == 0)
        fail(ErrorCategory::input, "{}: ends at {:.3f} s, before the start that was asked for ({:.3f} s)", name,
             static_cast<double>(passed) / source->rate, static_cast<double>(begin) / source->rate);
      passed += static_cast<std::int64_t>(got);
    }
  }

  /// The next block of the file; empty at its end.
  void fill() {
    block.resize(static_cast<std::size_t>(std::min<std::int64_t>(kBlock, left)));
    block.resize(block.empty() ? 0 : source->read(block));
    at = 0;
    const auto n = std::ssize(block);
    left -= n, facts.frames += n;
    if (n > 0) return;
    ended = true;
    facts.warnings = closing_warnings(*source, *bytes, begin + facts.frames, left > 0);
  }

  std::size_t read(std::span<float> mono) {
    std::size_t done = 0;
    while (done < mono.size()) {
      if (at == block.size() && !ended) fill();
      std::size_t used = 0;
      const std::size_t made = resampler.run(std::span(block).subspan(at), used, mono.subspan(done), ended);
      at += used, done += made;
      if (made == 0 && ended && at == block.size()) break;
    }
    return done;
  }

  std::unique_ptr<SoundBytes> bytes;
  std::string name;
  std::unique_ptr<SoundSource> source;
  int rate;
  Resampler resampler;
  SoundFacts facts;
  std::int64_t begin = 0, left = 0;  ///< frames of the file in front of the first one; that may still be read
  std::vector<float> block;
  std::size_t at = 0;  ///< in block
  bool ended = false;
};

SoundStream::SoundStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SoundStream::~SoundStream() = default;
SoundStream::SoundStream(SoundStream&&) noexcept = default;

SoundStream SoundStream::open_file(const std::filesystem::path& path, const SoundStreamOptions& options) {
  return SoundStream(std::make_unique<Impl>(open_sound_bytes(path), path.string(), options));
}
SoundStream SoundStream::open_fd(int fd, std::string name, const SoundStreamOptions& options) {
  auto bytes = open_sound_bytes(fd, name);
  return SoundStream(std::make_unique<Impl>(std::move(bytes), std::move(name), options));
}
SoundStream SoundStream::open_memory(std::span<const std::byte> bytes, std::string name,
                                     const SoundStreamOptions& options) {
  return SoundStream(std::make_unique<Impl>(open_sound_bytes(bytes), std::move(name), options));
}

std::size_t SoundStream::read(std::span<float> mono) { return impl_->read(mono); }
const SoundFacts& SoundStream::facts() const noexcept { return impl_->facts; }

std::optional<double> SoundStream::duration_seconds() const noexcept {
  const Impl& m = *impl_;
  if (!m.source->frames) return std::nullopt;
  const double all = static_cast<double>(*m.source->frames) / m.source->rate;
  if (const auto size = m.bytes->size(); !size || static_cast<double>(*size) < all * kLeastBytesPerSecond)
    return std::nullopt;
  const double begin = static_cast<double>(m.begin) / m.source->rate;
  const double wanted = static_cast<double>(m.facts.frames + m.left) / m.source->rate;
  return std::max(0.0, std::min(all - begin, wanted));
}

}  // namespace mtmd::media
