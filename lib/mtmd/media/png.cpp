// PNG (ISO/IEC 15948) through libpng: every colour type, bit depth and interlacing.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "mtmd/media/exif.h"
#include "mtmd/media/image_decoders.h"

namespace mtmd::media {
namespace {

constexpr std::size_t signature_bytes = 8;

/// One libpng reader. libpng reports errors by longjmp: every call goes through `guarded`, whose callables own nothing.
class PngReader {
 public:
  PngReader(const DecodeJob& job, DecodedImage& out) : job_(job), out_(out) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    if (!info_) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  void read_header();
  void read_pixels();

 private:
  static void on_error(png_structp png, png_const_charp text) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(self->message_, text, sizeof self->message_ - 1);
    std::longjmp(self->jump_, 1);
  }
  static void on_warning(png_structp png, png_const_charp text) {
    add_warning(static_cast<PngReader*>(png_get_error_ptr(png))->out_.facts, text);
  }
  static void on_read(png_structp png, png_bytep to, std::size_t n) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (self->job_.bytes.size() - self->at_ < n) {
      self->ended_ = true;
      png_error(png, "the file ends here");
    }
    std::memcpy(to, self->job_.bytes.data() + self->at_, n);
    self->at_ += n;
  }

  /// False when libpng gave up in `step`; the reason is in message_.
  template <class Step>
  bool guarded(Step&& step) {
    if (setjmp(jump_)) return false;
    step();
    return true;
  }
  void set_up();
  void choose_transforms();
  [[noreturn]] void give_up();

  const DecodeJob& job_;
  DecodedImage& out_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf jump_{};
  char message_[200] = {};
  std::size_t at_ = 0;  // bytes given to libpng
  bool ended_ = false;  // libpng asked for more than there is
  int n_passes_ = 1, pass_ = 0;
  std::uint32_t row_ = 0;  // rows of this pass that are done
};

void PngReader::give_up() {
  const std::string where =
      n_passes_ > 1 ? fmt::format("pass {} of {}, row {} of {}", pass_ + 1, n_passes_, row_, out_.facts.stored.height)
                    : fmt::format("{} of {} rows", row_, out_.facts.stored.height);
  if (ended_) {
    fail(ErrorCategory::input, "{}: truncated PNG file: it ends after {} bytes, with {} decoded", job_.name,
         job_.bytes.size(), out_.facts.stored.height ? where : "no row");
  }
  damaged(job_, ImageFormat::png, fmt::format("{} (near byte {}, {} decoded)", message_, at_, where));
}

void PngReader::set_up() {
  png_set_read_fn(png_, this, on_read);
  // Our own limits speak better than libpng's; colour profiles and texts are not used, so they are not even unpacked.
  png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_cache_max(png_, 64);
  static constexpr char unused[] = "iCCP\0iTXt\0zTXt\0tEXt\0sPLT\0hIST\0pCAL\0sCAL\0eXIf\0tIME\0oFFs\0pHYs\0bKGD\0sBIT";
  png_byte names[sizeof unused];
  std::memcpy(names, unused, sizeof unused);
  png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, names, static_cast<int>(sizeof unused / 5));
}

void PngReader::read_header() {
  const bool ok = guarded([this] {
    set_up();
    png_read_info(png_, info_);
  });
  if (!ok) give_up();
  png_uint_32 width = 0, height = 0;
  int depth = 0, colour = 0, interlace = 0;
  png_get_IHDR(png_, info_, &width, &height, &depth, &colour, &interlace, nullptr, nullptr);
  accept_size(job_, width, height, out_);
  out_.facts.bit_depth = depth;
  out_.facts.had_alpha = (colour & PNG_COLOR_MASK_ALPHA) || png_get_valid(png_, info_, PNG_INFO_tRNS);
  // Deflate shrinks at most 1032 times: a header that promises more is caught before memory is touched.
  const std::uint64_t least = std::uint64_t{width} * height * depth * png_get_channels(png_, info_) / 8 / 1032;
  if (least > job_.bytes.size()) {
    fail(ErrorCategory::input, "{}: truncated PNG file: {} x {} pixels need at least {} bytes, the file has {}; {}",
         job_.name, width, height, least, job_.bytes.size(), "no row was decoded");
  }
}

void PngReader::choose_transforms() {
  const bool people = job_.options.convention == Convention::people;
  png_set_expand(png_);  // palette and 1, 2, 4 bits to 8; transparent colour to alpha
  if (people) {
    png_set_scale_16(png_);
  } else {
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
  }
  png_set_gray_to_rgb(png_);
  n_passes_ = png_set_interlace_handling(png_);
  png_read_update_info(png_, info_);
}

void PngReader::read_pixels() {
  if (!guarded([this] { choose_transforms(); })) give_up();
  const std::size_t n_channels = png_get_channels(png_, info_);
  const std::size_t row_bytes = png_get_rowbytes(png_, info_);
  const std::size_t width = static_cast<std::size_t>(out_.facts.stored.width);
  const auto height = static_cast<std::uint32_t>(out_.facts.stored.height);
  if (row_bytes != width * n_channels || (n_channels != 3 && n_channels != 4)) {
    fail(ErrorCategory::internal, "{}: PNG rows of {} bytes for {} pixels", job_.name, row_bytes, width);
  }
  reserve_pixels(job_, out_);
  auto& rgb = out_.image.rgb;
  // Interlaced pictures are refined pass by pass, so all their rows are kept as libpng writes them.
  std::vector<std::uint8_t> rows(row_bytes * (n_passes_ > 1 ? height : 1));
  for (pass_ = 0; pass_ < n_passes_; ++pass_) {
    for (row_ = 0; row_ < height; ++row_) {
      std::uint8_t* row = rows.data() + (n_passes_ > 1 ? row_ * row_bytes : 0);
      if (!guarded([this, row] { png_read_row(png_, row, nullptr); })) give_up();
      if (pass_ + 1 < n_passes_) continue;
      if (n_channels == 3) {
        rgb.insert(rgb.end(), row, row + row_bytes);
        continue;
      }
      for (const std::uint8_t* p = row; p < row + row_bytes; p += 4) {
        const std::uint8_t pixel[] = {on_white(p[0], p[3]), on_white(p[1], p[3]), on_white(p[2], p[3])};
        rgb.insert(rgb.end(), pixel, pixel + 3);
      }
    }
  }
  // All pixels are there; what is wrong after them is only worth a warning.
  if (!guarded([this] { png_read_end(png_, nullptr); })) {
    add_warning(out_.facts, ended_ ? "the PNG file ends before its IEND chunk; all rows are there" : message_);
  }
}

/// The eXIf chunk may stand before or after the pixels: walk the chunk headers.
int orientation_of(std::span<const std::byte> bytes) {
  std::size_t at = signature_bytes;
  while (bytes.size() - at >= 12) {
    std::size_t n = 0;
    for (int i = 0; i < 4; ++i) n = n << 8 | std::to_integer<std::size_t>(bytes[at + i]);
    if (n > bytes.size() - at - 12) break;
    if (std::memcmp(bytes.data() + at + 4, "eXIf", 4) == 0) return exif_orientation(bytes.subspan(at + 8, n));
    at += n + 12;
  }
  return 1;
}

}  // namespace

void decode_png(const DecodeJob& job, DecodedImage& out) {
  PngReader reader(job, out);
  reader.read_header();
  out.facts.orientation = orientation_of(job.bytes);
  if (!job.header_only) reader.read_pixels();
}

}  // namespace mtmd::media
