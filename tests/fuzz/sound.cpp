// Recordings: decoding ends in samples that are finite, or in an Error about the input, from memory and from a pipe, in
// bounded time and memory; the windows that the cutter makes of them cover them; spectrograms are finite.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "encoders/audio/mel.h"
#include "engine/base/error.h"
#include "mtmd/hear/cutter.h"
#include "mtmd/media/sound_stream.h"

namespace {

using namespace mtmd;

constexpr std::size_t kMost = 1 << 18;  // samples of one input: some formats promise hours in a few bytes

/// Reads on, at most kMost samples.
struct Bounded {
  media::SoundStream& stream;
  std::size_t done = 0;

  std::size_t operator()(std::span<float> to) {
    if (done >= kMost) return 0;
    const std::size_t n = stream.read(to);
    done += n;
    for (const float v : to.first(n))
      if (!std::isfinite(v)) std::abort();
    return n;
  }
};

void cut(media::SoundStream& stream) {
  Bounded read{stream};
  SoundCutter cutter(std::ref(read), {.max_seconds = 10, .overlap_seconds = 0.5});
  std::int64_t covered = 0;
  while (const auto w = cutter.next()) {
    if (w->begin > covered || w->end() <= covered || w->samples.size() > 10 * audio::kRate) std::abort();
    covered = w->end();
    if (!w->speaks()) continue;
    const auto some = std::span(w->samples).first(std::min<std::size_t>(w->samples.size(), 4001));
    for (const audio::Mel& mel : audio::whisper_mel(some, 80))
      for (const float v : mel.values)
        if (!std::isfinite(v)) std::abort();
  }
  if (covered != static_cast<std::int64_t>(read.done)) std::abort();
}

template <class Body>
void attempt(Body body) {
  try {
    body();
  } catch (const Error& e) {
    if (e.category() != ErrorCategory::input && e.category() != ErrorCategory::resource) std::abort();
  }
}

}  // namespace

/// libsndfile forgets these when a Vorbis file turns out to be damaged while it is opened.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:vorbis_info_init\nleak:vorbis_synthesis_headerin\n";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  attempt([&] {
    auto stream = media::SoundStream::open_memory(bytes, "fuzz");
    cut(stream);
  });
  attempt([&] {
    auto part = media::SoundStream::open_memory(bytes, "fuzz", {.start_seconds = 0.1, .duration_seconds = 1});
    std::vector<float> block(5000);
    Bounded read{part};
    while (read(block) > 0) continue;
    if (read.done > 17000) std::abort();
  });
  int ends[2];
  if (size > 60000 || ::pipe(ends) != 0) return 0;  // what a pipe takes without a reader
  if (::write(ends[1], data, size) != static_cast<ssize_t>(size)) std::abort();
  ::close(ends[1]);
  attempt([&] {
    auto stream = media::SoundStream::open_fd(ends[0], "fuzz");
    std::vector<float> block(5000);
    Bounded read{stream};
    while (read(block) > 0) continue;
  });
  ::close(ends[0]);
  return 0;
}
