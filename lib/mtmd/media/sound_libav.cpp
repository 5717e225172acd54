// Everything that libsndfile does not read, by libav: MP4, M4A, MOV, MKV, WebM, AAC, AC-3, WMA, AMR, AVI, FLV, MPEG-TS.
// Files are hostile until proven otherwise: only these containers and codecs, no protocol at all (so neither network
// nor other files), one stream, one thread, bounded allocations, and no more bytes read than a few times the file.
#include <algorithm>
#include <cmath>

#include "engine/base/error.h"
#include "mtmd/media/libav.h"
#include "mtmd/media/sound_source.h"

namespace mtmd::media {
namespace {

constexpr const char* kContainers =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,ac3,eac3,asf,amr,avi,flv,mpegts,mpeg,wav,ogg,caf,wv,tta,ape,dts";
constexpr const char* kCodecs =
    "aac,aac_latm,ac3,eac3,dca,truehd,alac,amrnb,amrwb,ape,flac,mp1float,mp2float,mp3float,mp2,mp3,nellymoser,opus,"
    "libopus,vorbis,tta,wavpack,wmav1,wmav2,wmapro,wmalossless,wmavoice,speex,libspeex,gsm,gsm_ms,adpcm_ms,adpcm_ima_"
    "wav,"
    "adpcm_ima_qt,adpcm_swf,adpcm_yamaha,g723_1,g726,g729,pcm_alaw,pcm_mulaw,pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_"
    "s24le,"
    "pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be";
constexpr std::size_t kMostAllocated = std::size_t{1} << 28;  ///< at once, by libav
constexpr int kIoBlock = 1 << 15;
constexpr std::int64_t kProbed = std::int64_t{4} << 20;  ///< bytes until the streams are known
constexpr int kMostDamaged = 1000;                       ///< packets, one after the other
constexpr std::int64_t kMostSilent = 600;                ///< seconds left out, and a hundred times what was heard

std::string message(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  libav().av_strerror(code, text, sizeof text);
  return text;
}

struct Free {
  void operator()(AVFormatContext* p) const noexcept { libav().avformat_close_input(&p); }
  void operator()(AVCodecContext* p) const noexcept { libav().avcodec_free_context(&p); }
  void operator()(AVFrame* p) const noexcept { libav().av_frame_free(&p); }
  void operator()(AVPacket* p) const noexcept { libav().av_packet_free(&p); }
  void operator()(AVIOContext* p) const noexcept {
    libav().av_freep(&p->buffer);
    libav().avio_context_free(&p);
  }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

template <class T>
T* there(T* p) {
  if (p == nullptr) fail(ErrorCategory::resource, "libav is out of memory");
  return p;
}

/// Bytes for libav, and how many it may read.
struct Reader {
  SoundBytes& bytes;
  std::int64_t left;

  static int read(void* self, std::uint8_t* to, int n) {
    auto& r = *static_cast<Reader*>(self);
    if (n <= 0 || (r.left -= n) < 0) return AVERROR_EOF;
    const std::size_t got = r.bytes.read(to, static_cast<std::size_t>(n));
    return got == 0 ? AVERROR_EOF : static_cast<int>(got);
  }
  static std::int64_t seek(void* self, std::int64_t offset, int whence) {
    SoundBytes& bytes = static_cast<Reader*>(self)->bytes;
    if (whence & AVSEEK_SIZE) return bytes.size().value_or(-1);
    whence &= ~AVSEEK_FORCE;
    const std::int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? bytes.tell() : bytes.size().value_or(-1);
    std::int64_t to = 0;
    if (base < 0 || __builtin_add_overflow(base, offset, &to) || to < 0 || !bytes.seek(to)) return AVERROR(EINVAL);
    return bytes.tell();
  }
};

int refuse(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); }

/// Sample i of channel c.
float value(const AVFrame& frame, AVSampleFormat type, bool planar, int channels, int i, int c) {
  const std::uint8_t* data = planar ? frame.extended_data[c] : frame.extended_data[0];
  const auto at = static_cast<std::size_t>(planar ? i : i * channels + c);
  switch (type) {
    case AV_SAMPLE_FMT_U8:
      return (static_cast<float>(data[at]) - 128.0f) / 128.0f;
    case AV_SAMPLE_FMT_S16:
      return static_cast<float>(reinterpret_cast<const std::int16_t*>(data)[at]) / 32768.0f;
    case AV_SAMPLE_FMT_S32:
      return static_cast<float>(reinterpret_cast<const std::int32_t*>(data)[at]) / 2147483648.0f;
    case AV_SAMPLE_FMT_S64:
      return static_cast<float>(reinterpret_cast<const std::int64_t*>(data)[at]) / 9223372036854775808.0f;
    case AV_SAMPLE_FMT_FLT:
      return reinterpret_cast<const float*>(data)[at];
    case AV_SAMPLE_FMT_DBL:
      return static_cast<float>(reinterpret_cast<const double*>(data)[at]);
    default:
      return 0.0f;
  }
}

class LibavSource final : public SoundSource {
 public:
  LibavSource(SoundBytes& bytes, std::string_view name)
      : reader_{bytes, 4 * bytes.size().value_or(0) + (std::int64_t{64} << 20)} {
    static const bool quiet = (libav().av_log_set_level(AV_LOG_QUIET), libav().av_max_alloc(kMostAllocated), true);
    (void)quiet;
    open_container(name);
    open_codec(name);
    packet_.reset(there(libav().av_packet_alloc())), frame_.reset(there(libav().av_frame_alloc()));
    if (!decode()) {
      fail(ErrorCategory::input, "{}: damaged recording: no sound can be decoded from its {} track{}", name,
           libav().avcodec_get_name(codec_->codec_id), warnings.empty() ? "" : ": " + warnings.front());
    }
    rate = frame_->sample_rate > 0 ? frame_->sample_rate : codec_->sample_rate;
    channels = frame_->ch_layout.nb_channels;
    const AVStream& stream = *container_->streams[stream_];
    if (const double s = seconds(stream); s > 0 && s * rate < 1e15)
      frames = static_cast<std::int64_t>(s * rate), exact = false;
    first_ = frame_->pts;
    take_frame();
  }

  std::size_t read(std::span<float> mono) override {
    while (silent_ == 0 && at_ == ready_.size())
      if (!decode() || !take_frame()) return 0;
    if (silent_ > 0) {
      const auto n = static_cast<std::size_t>(std::min<std::int64_t>(std::ssize(mono), silent_));
      std::ranges::fill(mono.first(n), 0.0f);
      silent_ -= static_cast<std::int64_t>(n);
      return n;
    }
    const std::size_t n = std::min(mono.size(), ready_.size() - at_);
    std::copy_n(ready_.begin() + static_cast<std::ptrdiff_t>(at_), n, mono.begin());
    at_ += n;
    return n;
  }

  /// In MP4, which has an index and counts its times in samples, by way of a second earlier: decoders need a few frames
  /// to settle. (Matroska's times are rounded to milliseconds.)
  bool seek(std::int64_t frame) override {
    const AVRational unit = container_->streams[stream_]->time_base;
    const bool exact_times = std::int64_t{unit.num} * rate <= unit.den;
    const std::int64_t sought = frame - rate;
    if (!std::string_view(container_->iformat->name).starts_with("mov") || !exact_times || !reader_.bytes.size() ||
        sought <= 0 || !frames || frame >= *frames || first_ == AV_NOPTS_VALUE)
      return false;
    if (jump(sought)) {
      while (decode()) {
        const std::int64_t at = position();
        if (at < 0 || at > frame || !take_frame()) break;
        if (frame < at + std::ssize(ready_)) {
          at_ = static_cast<std::size_t>(frame - at), silent_ = 0;
          return true;
        }
      }
    }
    ended_ = !jump(0) || !decode() || !take_frame();  // as if nothing had happened
    return false;
  }

 private:
  /// The decoder goes on with a packet at or before a frame. False when the container cannot.
  bool jump(std::int64_t frame) {
    const AVRational unit = container_->streams[stream_]->time_base;
    const double ticks = static_cast<double>(frame) / rate * unit.den / unit.num;
    const auto pts = first_ + static_cast<std::int64_t>(ticks);
    ended_ = false, due_.reset();
    if (libav().av_seek_frame(container_.get(), static_cast<int>(stream_), pts, AVSEEK_FLAG_BACKWARD) < 0) return false;
    libav().avcodec_flush_buffers(codec_.get());
    return true;
  }

  /// Of frame_ in the recording; negative: unknown.
  std::int64_t position() const {
    if (frame_->pts == AV_NOPTS_VALUE || frame_->pts < first_) return -1;
    const double s = static_cast<double>(frame_->pts - first_) * av_q2d(container_->streams[stream_]->time_base);
    return s * rate < 1e15 ? std::llround(s * rate) : -1;
  }

  double seconds(const AVStream& stream) const {
    if (stream.duration > 0) return static_cast<double>(stream.duration) * av_q2d(stream.time_base);
    return container_->duration > 0 ? static_cast<double>(container_->duration) / AV_TIME_BASE : 0;
  }

  void open_container(std::string_view name) {
    auto* block = static_cast<unsigned char*>(there(libav().av_malloc(kIoBlock)));
    io_.reset(libav().avio_alloc_context(block, kIoBlock, 0, &reader_, Reader::read, nullptr, Reader::seek));
    if (!io_) {
      libav().av_free(block);
      there<AVIOContext>(nullptr);
    }
    AVFormatContext* c = there(libav().avformat_alloc_context());
    c->pb = io_.get(), c->io_open = refuse, c->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_DISCARD_CORRUPT;
    c->max_streams = 64, c->probesize = kProbed, c->max_analyze_duration = 10 * AV_TIME_BASE,
    c->max_probe_packets = 200;
    c->error_recognition = 0, c->format_probesize = 1 << 18;
    c->format_whitelist = libav().av_strdup(kContainers), c->codec_whitelist = libav().av_strdup(kCodecs);
    c->protocol_whitelist = libav().av_strdup("none");
    if (const int code = libav().avformat_open_input(&c, "", nullptr, nullptr); code < 0)  // frees `c` when it fails
      fail(ErrorCategory::input, "{}: not a recording that can be read: {}", name, message(code));
    container_.reset(c);
    for (unsigned i = 0; i < c->nb_streams; ++i)
      if (c->streams[i]->codecpar->codec_type != AVMEDIA_TYPE_AUDIO) c->streams[i]->discard = AVDISCARD_ALL;
    libav().avformat_find_stream_info(c, nullptr);
  }

  void open_codec(std::string_view name) {
    const AVCodec* codec = nullptr;
    const int index = libav().av_find_best_stream(container_.get(), AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
    if (index == AVERROR_DECODER_NOT_FOUND)
      fail(ErrorCategory::input, "{}: its sound is of a kind that libav cannot decode", name);
    if (index < 0) fail(ErrorCategory::input, "{}: holds no sound ({})", name, container_->iformat->long_name);
    stream_ = static_cast<unsigned>(index);
    for (unsigned i = 0; i < container_->nb_streams; ++i)
      if (i != stream_) container_->streams[i]->discard = AVDISCARD_ALL;
    codec_.reset(there(libav().avcodec_alloc_context3(codec)));
    codec_->codec_whitelist = libav().av_strdup(kCodecs), codec_->thread_count = 1;
    codec_->pkt_timebase = container_->streams[stream_]->time_base;
    int code = libav().avcodec_parameters_to_context(codec_.get(), container_->streams[stream_]->codecpar);
    if (code >= 0) code = libav().avcodec_open2(codec_.get(), codec, nullptr);
    if (code < 0)
      fail(ErrorCategory::input, "{}: its sound ({}) cannot be decoded: {}", name, codec->name, message(code));
    format = fmt::format("{}, {}", container_->iformat->long_name, libav().avcodec_get_name(codec_->codec_id));
  }

  /// The next frame, into frame_; false at the end. Damaged packets are left out.
  bool decode() {
    for (int damaged = 0; !ended_;) {
      const int got = libav().avcodec_receive_frame(codec_.get(), frame_.get());
      if (got == 0) {
        if (frame_->nb_samples > 0) return true;
        continue;
      }
      if (got != AVERROR(EAGAIN)) break;
      if (!send()) ++n_damaged_, ++damaged;
      if (damaged > kMostDamaged) break;
    }
    if (!ended_ && n_damaged_ > 0) warnings.push_back(fmt::format("{} damaged packets are left out", n_damaged_));
    ended_ = true;
    return false;
  }

  /// One packet, or the end, to the decoder; false when the packet is damaged.
  bool send() {
    int code = 0;
    do {
      libav().av_packet_unref(packet_.get());
      code = libav().av_read_frame(container_.get(), packet_.get());
    } while (code >= 0 && packet_->stream_index != static_cast<int>(stream_));
    if (code < 0) {
      if (code != AVERROR_EOF) warnings.push_back("the recording ends early: " + message(code));
      if (reader_.left < 0) warnings.emplace_back("the recording ends early: it refers to itself too often");
      libav().avcodec_send_packet(codec_.get(), nullptr);
      return true;
    }
    return libav().avcodec_send_packet(codec_.get(), packet_.get()) >= 0;
  }

  /// frame_ -> ready_; false when it does not belong to the same sound.
  bool take_frame() {
    const AVFrame& f = *frame_;
    const int hz = f.sample_rate > 0 ? f.sample_rate : rate, n_channels = f.ch_layout.nb_channels;
    if (hz != rate) {
      warnings.push_back(fmt::format("the sound changes from {} Hz to {} Hz and is read up to there", rate, hz));
      ended_ = true;
      return false;
    }
    const auto type = static_cast<AVSampleFormat>(f.format);
    const AVSampleFormat packed = libav().av_get_packed_sample_fmt(type);
    const bool planar = libav().av_sample_fmt_is_planar(type) != 0;
    interleaved_.resize(static_cast<std::size_t>(f.nb_samples) * static_cast<std::size_t>(n_channels));
    auto to = interleaved_.begin();
    for (int i = 0; i < f.nb_samples; ++i)
      for (int c = 0; c < n_channels; ++c) *to++ = value(f, packed, planar, n_channels, i, c);
    ready_.resize(static_cast<std::size_t>(f.nb_samples)), at_ = 0;
    mixer_.mix(interleaved_, n_channels, ready_);
    silent_ = missing();
    heard_ += f.nb_samples;
    due_ = due_.value_or(std::max<std::int64_t>(position(), 0)) + silent_ + f.nb_samples;
    return true;
  }

  /// Samples that the recording leaves out in front of frame_: a recorder that paused, a sender that is silent, a
  /// damaged packet. They become silence, or all times behind them would be wrong.
  std::int64_t missing() const {
    const std::int64_t gap = due_ ? position() - *due_ : 0;
    return gap > rate / 4 && gap <= rate * kMostSilent + 100 * heard_ ? gap : 0;
  }

  Reader reader_;
  Owned<AVIOContext> io_;
  Owned<AVFormatContext> container_;
  Owned<AVCodecContext> codec_;
  Owned<AVPacket> packet_;
  Owned<AVFrame> frame_;
  unsigned stream_ = 0;
  std::int64_t first_ = AV_NOPTS_VALUE;  ///< time of the first frame
  std::vector<float> interleaved_, ready_;
  std::size_t at_ = 0;                     ///< samples of ready_ that were given
  std::int64_t silent_ = 0;                ///< samples of silence in front of ready_
  std::optional<std::int64_t> due_ = {0};  ///< where the next frame begins, if nothing is left out
  std::int64_t heard_ = 0;                 ///< samples decoded
  int n_damaged_ = 0;
  bool ended_ = false;
};

}  // namespace

bool has_libav() noexcept { return true; }

std::unique_ptr<SoundSource> open_libav(SoundBytes& bytes, std::string_view name) {
  return std::make_unique<LibavSource>(bytes, name);
}

}  // namespace mtmd::media
