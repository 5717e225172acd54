#include "mtmd/media/sound_writers.h"

#include <sndfile.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#ifdef MTMD_HAVE_LIBAV
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}
#endif

/// libsndfile forgets these when a Vorbis file turns out to be damaged while it is opened.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:vorbis_info_init\nleak:vorbis_synthesis_headerin\n";
}

namespace mtmd::media::testing {
namespace {

/// A file in memory that grows.
struct Growing {
  Bytes bytes;
  std::int64_t at = 0;

  std::int64_t seek_to(std::int64_t to) { return at = to; }
  std::int64_t put_bytes(const void* from, std::int64_t n) {
    const auto end = static_cast<std::size_t>(at + n);
    if (bytes.size() < end) bytes.resize(end);
    std::memcpy(bytes.data() + at, from, static_cast<std::size_t>(n));
    at += n;
    return n;
  }
};

}  // namespace

Bytes by_libsndfile(std::span<const float> samples, int rate, int format) {
  Growing out;
  SF_VIRTUAL_IO io{};
  io.get_filelen = [](void* p) { return static_cast<sf_count_t>(static_cast<Growing*>(p)->bytes.size()); };
  io.seek = [](sf_count_t offset, int whence, void* p) {
    auto& g = *static_cast<Growing*>(p);
    return static_cast<sf_count_t>(g.seek_to(offset + (whence == SEEK_SET   ? 0
                                                       : whence == SEEK_CUR ? g.at
                                                                            : std::ssize(g.bytes))));
  };
  io.read = [](void* to, sf_count_t n, void* p) {
    auto& g = *static_cast<Growing*>(p);
    n = std::clamp<sf_count_t>(n, 0, std::ssize(g.bytes) - g.at);
    if (n > 0) std::memcpy(to, g.bytes.data() + g.at, static_cast<std::size_t>(n));
    g.at += n;
    return n;
  };
  io.write = [](const void* from, sf_count_t n, void* p) {
    return static_cast<sf_count_t>(static_cast<Growing*>(p)->put_bytes(from, n));
  };
  io.tell = [](void* p) { return static_cast<sf_count_t>(static_cast<Growing*>(p)->at); };
  SF_INFO info{};
  info.samplerate = rate, info.channels = 1, info.format = format;
  SNDFILE* file = sf_open_virtual(&io, SFM_WRITE, &info, &out);
  if (file == nullptr) throw std::runtime_error(sf_strerror(nullptr));
  sf_command(file, SFC_SET_CLIPPING, nullptr, SF_TRUE);
  sf_writef_float(file, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(file);
  return out.bytes;
}

#ifdef MTMD_HAVE_LIBAV
Bytes by_libav(std::span<const float> samples, int rate, const std::string& container, const std::string& encoder,
               std::int64_t pause) {
  av_log_set_level(AV_LOG_QUIET);
  const AVCodec* codec = avcodec_find_encoder_by_name(encoder.c_str());
  AVFormatContext* c = nullptr;
  if (codec == nullptr || avformat_alloc_output_context2(&c, nullptr, container.c_str(), nullptr) < 0) return {};
  Growing out;
  c->pb = avio_alloc_context(
      static_cast<unsigned char*>(av_malloc(4096)), 4096, 1, &out, nullptr,
      [](void* p, std::uint8_t* from, int n) { return static_cast<int>(static_cast<Growing*>(p)->put_bytes(from, n)); },
      [](void* p, std::int64_t offset, int whence) {
        auto& g = *static_cast<Growing*>(p);
        if (whence & AVSEEK_SIZE) return static_cast<std::int64_t>(g.bytes.size());
        return g.seek_to(offset + (whence == SEEK_SET ? 0 : whence == SEEK_CUR ? g.at : std::ssize(g.bytes)));
      });
  AVCodecContext* e = avcodec_alloc_context3(codec);
  e->sample_rate = rate, e->sample_fmt = codec->sample_fmts[0], e->bit_rate = 96000;
  av_channel_layout_default(&e->ch_layout, 1);
  if (c->oformat->flags & AVFMT_GLOBALHEADER) e->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  AVStream* stream = avformat_new_stream(c, nullptr);
  AVPacket* packet = av_packet_alloc();
  AVFrame* frame = av_frame_alloc();
  bool ok = avcodec_open2(e, codec, nullptr) >= 0 && avcodec_parameters_from_context(stream->codecpar, e) >= 0;
  stream->time_base = e->time_base = {1, rate};
  ok = ok && avformat_write_header(c, nullptr) >= 0;
  const auto drain = [&] {
    while (avcodec_receive_packet(e, packet) == 0) {
      av_packet_rescale_ts(packet, e->time_base, stream->time_base);
      packet->stream_index = 0;
      av_interleaved_write_frame(c, packet);
    }
  };
  const std::size_t size = ok && e->frame_size > 0 ? static_cast<std::size_t>(e->frame_size) : 1024;
  for (std::size_t at = 0; ok && at < samples.size(); at += size) {
    const auto part = samples.subspan(at, std::min(size, samples.size() - at));
    frame->nb_samples = static_cast<int>(part.size()), frame->format = e->sample_fmt, frame->sample_rate = rate;
    frame->pts = static_cast<std::int64_t>(at) + (at < samples.size() / 2 ? 0 : pause);
    av_channel_layout_default(&frame->ch_layout, 1);
    ok = av_frame_get_buffer(frame, 0) >= 0;
    for (std::size_t i = 0; ok && i < part.size(); ++i) {
      const AVSampleFormat type = av_get_packed_sample_fmt(e->sample_fmt);
      if (type == AV_SAMPLE_FMT_FLT) reinterpret_cast<float*>(frame->data[0])[i] = part[i];
      if (type == AV_SAMPLE_FMT_S16)
        reinterpret_cast<std::int16_t*>(frame->data[0])[i] = static_cast<std::int16_t>(part[i] * 32767);
      if (type == AV_SAMPLE_FMT_S32)
        reinterpret_cast<std::int32_t*>(frame->data[0])[i] = static_cast<std::int32_t>(part[i] * 2147483000.0f);
    }
    avcodec_send_frame(e, frame);
    av_frame_unref(frame);
    drain();
  }
  if (ok) avcodec_send_frame(e, nullptr), drain(), av_write_trailer(c);
  avio_flush(c->pb);
  av_freep(&c->pb->buffer);
  avio_context_free(&c->pb);
  avformat_free_context(c);
  avcodec_free_context(&e);
  av_packet_free(&packet);
  av_frame_free(&frame);
  return ok ? out.bytes : Bytes{};
}
#else
Bytes by_libav(std::span<const float>, int, const std::string&, const std::string&, std::int64_t) { return {}; }
#endif

}  // namespace mtmd::media::testing
