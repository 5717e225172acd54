// JPEG (ITU-T T.81) through libjpeg-turbo: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK.
#include <cstdio>  // jpeglib.h needs FILE, jerror.h what jpeglib.h defines

#include <jpeglib.h>

#include <jerror.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "mtmd/media/exif.h"
#include "mtmd/media/image_decoders.h"

namespace mtmd::media {
namespace {

constexpr int marker_app1 = JPEG_APP0 + 1;
constexpr int max_scans = 500;  // a progressive file of thousands of tiny scans takes minutes otherwise

/// One libjpeg decompressor. Errors arrive by longjmp: every call goes through `guarded`, whose callables own nothing.
class JpegReader {
 public:
  JpegReader(const DecodeJob& job, DecodedImage& out) : job_(job), out_(out) {
    cinfo_.err = jpeg_std_error(&errors_);
    cinfo_.client_data = this;
    errors_.error_exit = [](j_common_ptr c) { self(c).stop(); };
    errors_.emit_message = [](j_common_ptr c, int level) { self(c).message(level); };
    errors_.output_message = [](j_common_ptr) {};
    progress_.progress_monitor = [](j_common_ptr c) { self(c).watch_scans(); };
    if (!guarded([this] { jpeg_create_decompress(&cinfo_); })) throw std::bad_alloc();
    cinfo_.progress = &progress_;
    source_.init_source = [](j_decompress_ptr) {};
    source_.fill_input_buffer = [](j_decompress_ptr c) { return self(c).past_the_end(); };
    source_.skip_input_data = [](j_decompress_ptr c, long n) { self(c).skip(n); };
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = [](j_decompress_ptr) {};
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(job.bytes.data());
    source_.bytes_in_buffer = job.bytes.size();
    cinfo_.src = &source_;
  }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&cinfo_); }

  void read_header();
  void read_pixels();

 private:
  static JpegReader& self(j_common_ptr c) { return *static_cast<JpegReader*>(c->client_data); }
  static JpegReader& self(j_decompress_ptr c) { return *static_cast<JpegReader*>(c->client_data); }

  template <class Step>
  bool guarded(Step&& step) {
    if (setjmp(jump_)) return false;
    step();
    return true;
  }
  [[noreturn]] void stop() {
    errors_.format_message(reinterpret_cast<j_common_ptr>(&cinfo_), message_);
    std::longjmp(jump_, 1);
  }
  void message(int level);
  void watch_scans();
  boolean past_the_end();
  void skip(long n);
  void append_row(const std::uint8_t* row);
  void check_precision();
  [[noreturn]] void give_up();

  const DecodeJob& job_;
  DecodedImage& out_;
  jpeg_decompress_struct cinfo_{};
  jpeg_error_mgr errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_{};
  char message_[JMSG_LENGTH_MAX] = {};
  bool ended_ = false;     // the decoder asked for more than there is
  bool all_rows_ = false;  // every pixel has been decoded
};

/// libjpeg's warnings: those that mean missing or garbled pixels stop us, the rest is passed on.
void JpegReader::message(int level) {
  if (level >= 0) return;  // trace output
  switch (errors_.msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_BOGUS_PROGRESSION:
      if (!all_rows_) stop();
      break;
    default:
      break;
  }
  char text[JMSG_LENGTH_MAX] = {};
  errors_.format_message(reinterpret_cast<j_common_ptr>(&cinfo_), text);
  add_warning(out_.facts, text);
}

void JpegReader::watch_scans() {
  if (cinfo_.input_scan_number <= max_scans) return;
  std::snprintf(message_, sizeof message_, "more than %d scans", max_scans);
  std::longjmp(jump_, 1);
}

boolean JpegReader::past_the_end() {
  static constexpr JOCTET end_of_image[] = {0xFF, JPEG_EOI};
  ended_ = true;
  if (!all_rows_) {
    std::snprintf(message_, sizeof message_, "the file ends here");
    std::longjmp(jump_, 1);
  }
  source_.next_input_byte = end_of_image;
  source_.bytes_in_buffer = sizeof end_of_image;
  return TRUE;
}

void JpegReader::skip(long n) {
  if (n <= 0) return;
  if (static_cast<unsigned long>(n) > source_.bytes_in_buffer) {
    past_the_end();
    return;
  }
  source_.next_input_byte += n;
  source_.bytes_in_buffer -= static_cast<std::size_t>(n);
}

void JpegReader::give_up() {
  const std::size_t at = job_.bytes.size() - std::min(source_.bytes_in_buffer, job_.bytes.size());
  const int height = out_.facts.stored.height;
  std::string where = "no row";
  if (height && cinfo_.progressive_mode && cinfo_.output_scanline == 0) {
    where = fmt::format("{} complete scans", std::max(0, cinfo_.input_scan_number - 1));
  } else if (height) {
    where = fmt::format("{} of {} rows", cinfo_.output_scanline, height);
  }
  if (ended_) {
    fail(ErrorCategory::input, "{}: truncated JPEG file: it ends after {} bytes, with {} decoded", job_.name,
         job_.bytes.size(), where);
  }
  damaged(job_, ImageFormat::jpeg, fmt::format("{} (near byte {}, {} decoded)", message_, at, where));
}

void JpegReader::read_header() {
  const bool ok = guarded([this] {
    jpeg_save_markers(&cinfo_, marker_app1, 0xFFFF);
    jpeg_read_header(&cinfo_, TRUE);
  });
  if (!ok) give_up();
  accept_size(job_, cinfo_.image_width, cinfo_.image_height, out_);
  out_.facts.bit_depth = cinfo_.data_precision;
  for (auto* m = cinfo_.marker_list; m; m = m->next) {
    if (m->marker != marker_app1 || m->data_length < 6 || std::memcmp(m->data, "Exif\0\0", 6) != 0) continue;
    out_.facts.orientation = exif_orientation({reinterpret_cast<const std::byte*>(m->data), m->data_length});
    break;
  }
}

void JpegReader::append_row(const std::uint8_t* row) {
  auto& rgb = out_.image.rgb;
  const std::size_t n = cinfo_.output_width;
  if (cinfo_.output_components == 3) {
    rgb.insert(rgb.end(), row, row + 3 * n);
    return;
  }
  // CMYK without a colour profile: each ink dims its light. Adobe's files store the inks inverted (255 = none).
  const int invert = cinfo_.saw_Adobe_marker ? 0 : 255;
  for (const std::uint8_t* p = row; p < row + 4 * n; p += 4) {
    const int light = p[3] ^ invert;
    for (int c = 0; c < 3; ++c) rgb.push_back(static_cast<std::uint8_t>(((p[c] ^ invert) * light + 127) / 255));
  }
}

/// A progressive file that was cut between two scans and closed again is whole for libjpeg, only coarser than it should
/// be.
void JpegReader::check_precision() {
  if (!cinfo_.coef_bits) return;
  for (int c = 0; c < cinfo_.num_components; ++c) {
    for (int k = 0; k < DCTSIZE2; ++k) {
      if (cinfo_.coef_bits[c][k] == 0) continue;
      add_warning(out_.facts, "the progressive JPEG lacks its finest scans");
      return;
    }
  }
}

void JpegReader::read_pixels() {
  const bool started = guarded([this] {
    const bool four = cinfo_.jpeg_color_space == JCS_CMYK || cinfo_.jpeg_color_space == JCS_YCCK;
    cinfo_.out_color_space = four ? JCS_CMYK : JCS_RGB;
    cinfo_.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&cinfo_);
  });
  if (!started) give_up();
  check_precision();
  reserve_pixels(job_, out_);
  std::vector<std::uint8_t> row(std::size_t{cinfo_.output_width} * cinfo_.output_components);
  while (cinfo_.output_scanline < cinfo_.output_height) {
    JSAMPROW rows[] = {row.data()};
    if (!guarded([this, &rows] { jpeg_read_scanlines(&cinfo_, rows, 1); })) give_up();
    append_row(row.data());
  }
  all_rows_ = true;
  if (!guarded([this] { jpeg_finish_decompress(&cinfo_); })) add_warning(out_.facts, message_);
  if (ended_) add_warning(out_.facts, "the JPEG file ends before its end marker; all rows are there");
}

}  // namespace

void decode_jpeg(const DecodeJob& job, DecodedImage& out) {
  JpegReader reader(job, out);
  reader.read_header();
  if (!job.header_only) reader.read_pixels();
}

}  // namespace mtmd::media
