// libav's functions, looked up when the first recording asks for them: its libraries bring a hundred others with them,
// and linking those takes longer than loading a small model.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/mem.h>
}

namespace mtmd::media {

#define MTMD_LIBAVUTIL(X)                                                                                \
  X(av_strerror)                                                                                         \
  X(av_malloc) X(av_free) X(av_freep) X(av_strdup) X(av_max_alloc) X(av_log_set_level) X(av_frame_alloc) \
      X(av_frame_free) X(av_get_packed_sample_fmt) X(av_sample_fmt_is_planar)
#define MTMD_LIBAVCODEC(X)                                                                                   \
  X(av_packet_alloc)                                                                                         \
  X(av_packet_free) X(av_packet_unref) X(avcodec_alloc_context3) X(avcodec_flush_buffers) X(avcodec_free_context) \
      X(avcodec_get_name) X(avcodec_open2) X(avcodec_parameters_to_context) X(avcodec_receive_frame) X(avcodec_send_packet)
#define MTMD_LIBAVFORMAT(X)                                                                                           \
  X(avformat_alloc_context)                                                                                           \
  X(avformat_open_input) X(avformat_close_input) X(avformat_find_stream_info) X(av_find_best_stream) X(av_read_frame) \
      X(av_seek_frame) X(avio_alloc_context) X(avio_context_free)

/// One pointer per function, under the function's own name.
struct Libav {
#define MTMD_POINTER(f) decltype(&::f) f = nullptr;
  MTMD_LIBAVUTIL(MTMD_POINTER) MTMD_LIBAVCODEC(MTMD_POINTER) MTMD_LIBAVFORMAT(MTMD_POINTER)
#undef MTMD_POINTER
};

/// Loads the libraries at the first call, of the major versions this was compiled for, and keeps them; any thread.
/// Throws Error(input) naming the library that is not there.
const Libav& libav();

}  // namespace mtmd::media
