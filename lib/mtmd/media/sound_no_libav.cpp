// In place of sound_libav.cpp where mtmd is built without libav.
#include "engine/base/error.h"
#include "mtmd/media/sound_source.h"

namespace mtmd::media {

bool has_libav() noexcept { return false; }

std::unique_ptr<SoundSource> open_libav(SoundBytes&, std::string_view name) {
  fail(ErrorCategory::input,
       "{}: this mtmd is built without libav and reads WAV, AIFF, FLAC, Ogg Vorbis, Opus and MP3; for MP4, M4A, AAC, "
       "MKV, "
       "WebM … install libavformat-dev, libavcodec-dev and libavutil-dev and build with -DMTMD_LIBAV=ON",
       name);
}

}  // namespace mtmd::media
