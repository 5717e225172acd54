// Binary PGM and PPM ("P5", "P6"): https://netpbm.sourceforge.net/doc/ppm.html. Only the first picture of a file
// counts.
#include <algorithm>

#include "mtmd/media/image_decoders.h"

namespace mtmd::media {
namespace {

class PnmHeader {
 public:
  explicit PnmHeader(const DecodeJob& job) : job_(job) {}

  /// White space and comments, then a decimal number.
  std::uint64_t number(std::string_view what) {
    for (bool comment = false; at_ < job_.bytes.size(); ++at_) {
      const char c = peek();
      if (c == '#') comment = true;
      if (c == '\n' || c == '\r') comment = false;
      if (!comment && !is_space(c)) break;
    }
    std::uint64_t v = 0;
    const std::size_t start = at_;
    while (at_ < job_.bytes.size() && peek() >= '0' && peek() <= '9' && at_ - start < 10) {
      v = v * 10 + static_cast<std::uint64_t>(peek() - '0');
      ++at_;
    }
    if (at_ == start || at_ >= job_.bytes.size() || !is_space(peek())) {
      damaged(job_, ImageFormat::pnm, fmt::format("the header has no {} at byte {}", what, start));
    }
    return v;
  }
  std::size_t pixels_at() const { return at_ + 1; }  // exactly one white space ends the header

 private:
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'; }
  char peek() const { return static_cast<char>(job_.bytes[at_]); }

  const DecodeJob& job_;
  std::size_t at_ = 2;
};

}  // namespace

void decode_pnm(const DecodeJob& job, DecodedImage& out) {
  PnmHeader header(job);
  const std::uint64_t width = header.number("width"), height = header.number("height");
  const std::uint64_t max = header.number("maximum value");
  if (max == 0 || max > 65535) {
    damaged(job, ImageFormat::pnm, fmt::format("the maximum value is {}, expected 1 to 65535", max));
  }
  accept_size(job, width, height, out);
  out.facts.bit_depth = max > 255 ? 16 : 8;
  if (job.header_only) return;

  const std::size_t n_channels = job.bytes[1] == std::byte{'6'} ? 3 : 1, n_bytes = max > 255 ? 2 : 1;
  const std::size_t row_bytes = width * n_channels * n_bytes;
  const auto pixels = job.bytes.subspan(header.pixels_at());
  if (pixels.size() < row_bytes * height) {
    fail(ErrorCategory::input, "{}: truncated PPM/PGM file: {} of {} rows are there", job.name,
         pixels.size() / row_bytes, height);
  }
  reserve_pixels(job, out);
  const bool high_byte = job.options.convention == Convention::reference;
  const std::size_t n_samples = static_cast<std::size_t>(width) * height * n_channels;
  for (std::size_t i = 0; i < n_samples; ++i) {
    std::uint64_t v = std::to_integer<std::uint64_t>(pixels[i * n_bytes]);
    if (n_bytes == 2 && !high_byte) v = v << 8 | std::to_integer<std::uint64_t>(pixels[2 * i + 1]);
    if (!high_byte && max != 255) v = (std::min(v, max) * 255 + max / 2) / max;
    out.image.rgb.insert(out.image.rgb.end(), n_channels == 1 ? 3 : 1, static_cast<std::uint8_t>(v));
  }
}

}  // namespace mtmd::media
