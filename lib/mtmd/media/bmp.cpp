// Windows and OS/2 bitmaps, uncompressed or with bit fields
// (https://learn.microsoft.com/windows/win32/gdi/bitmap-header-types). Leptonica reads the plainest of them only.
#include <algorithm>
#include <array>
#include <bit>

#include "mtmd/media/byte_order.h"
#include "mtmd/media/image_decoders.h"

namespace mtmd::media {
namespace {

constexpr std::uint32_t kFileHeader = 14, kCoreHeader = 12, kInfoHeader = 40, kAlphaHeader = 56;
constexpr std::uint32_t kPlain = 0, kBitFields = 3, kAlphaBitFields = 6;

struct Header {
  std::uint32_t bytes = 0;  ///< of the header behind the file header
  std::uint64_t width = 0, height = 0;
  bool top_down = false;
  std::uint32_t bits = 0;  ///< per pixel
  std::uint32_t compression = kPlain, n_colors = 0;
  std::size_t pixels_at = 0;
  std::array<std::uint32_t, 4> masks{};  ///< red, green, blue, alpha of 16 and 32 bits
};

void require_bytes(const DecodeJob& job, std::size_t n) {
  if (job.bytes.size() < n)
    fail(ErrorCategory::input, "{}: truncated BMP file: {} bytes, but the header takes {}", job.name, job.bytes.size(),
         n);
}

void read_masks(const DecodeJob& job, Header& h) {
  if (h.bits == 16) h.masks = {0x7c00, 0x03e0, 0x001f, 0};
  if (h.bits == 32) h.masks = {0xff0000, 0xff00, 0xff, 0};
  if (h.compression == kPlain) return;
  const bool alpha = h.bytes >= kAlphaHeader || h.compression == kAlphaBitFields;
  const std::size_t at = kFileHeader + kInfoHeader;  // within longer headers, behind the shortest
  require_bytes(job, at + (alpha ? 16 : 12));
  for (std::size_t i = 0; i < (alpha ? 4 : 3); ++i) h.masks[i] = le32(job.bytes, at + 4 * i);
  for (std::size_t i = 0; i < 4; ++i) {
    const std::uint32_t m = h.masks[i], field = m == 0 ? 0 : m >> std::countr_zero(m);
    if ((field & (field + 1)) != 0 || (m == 0 && i < 3)) {
      damaged(job, ImageFormat::bmp, fmt::format("the bit mask {:#x} is no run of bits", m));
    }
  }
}

Header read_header(const DecodeJob& job) {
  require_bytes(job, kFileHeader + kCoreHeader);
  Header h;
  h.pixels_at = le32(job.bytes, 10), h.bytes = le32(job.bytes, kFileHeader);
  if (h.bytes != kCoreHeader && h.bytes < kInfoHeader) {
    damaged(job, ImageFormat::bmp, fmt::format("a header of {} bytes, expected 12 or at least 40", h.bytes));
  }
  require_bytes(job, kFileHeader + h.bytes);
  if (h.bytes == kCoreHeader) {
    h.width = le16(job.bytes, 18), h.height = le16(job.bytes, 20), h.bits = le16(job.bytes, 24);
  } else {
    const auto width = static_cast<std::int32_t>(le32(job.bytes, 18)),
               height = static_cast<std::int32_t>(le32(job.bytes, 22));
    h.width = width > 0 ? static_cast<std::uint64_t>(width) : 0;
    h.top_down = height < 0;
    h.height = static_cast<std::uint64_t>(height < 0 ? -std::int64_t{height} : height);
    h.bits = le16(job.bytes, 28), h.compression = le32(job.bytes, 30), h.n_colors = le32(job.bytes, 46);
  }
  const bool fields = h.compression == kBitFields || h.compression == kAlphaBitFields;
  if (h.compression != kPlain && !(fields && (h.bits == 16 || h.bits == 32))) {
    fail(ErrorCategory::input, "{}: a BMP with compression {} and {} bits; only uncompressed ones are supported, so {}",
         job.name, h.compression, h.bits, "save it as PNG first");
  }
  constexpr std::array<std::uint32_t, 6> kBits = {1, 4, 8, 16, 24, 32};
  if (std::find(kBits.begin(), kBits.end(), h.bits) == kBits.end()) {
    damaged(job, ImageFormat::bmp, fmt::format("{} bits per pixel, expected 1, 4, 8, 16, 24 or 32", h.bits));
  }
  read_masks(job, h);
  return h;
}

using Color = std::array<std::uint8_t, 3>;

/// 256 colours; those that the file does not define are black.
std::array<Color, 256> read_palette(const DecodeJob& job, const Header& h) {
  std::array<Color, 256> palette{};
  const std::size_t entry = h.bytes == kCoreHeader ? 3 : 4, at = kFileHeader + h.bytes, most = std::size_t{1} << h.bits;
  const std::size_t end = std::min(std::max(h.pixels_at, at), job.bytes.size());
  std::size_t n = std::min((end - at) / entry, most);
  if (h.n_colors > 0) n = std::min<std::size_t>(n, h.n_colors);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t c = 0; c < 3; ++c)
      palette[i][c] = static_cast<std::uint8_t>(u8(job.bytes, at + i * entry + 2 - c));
  }
  return palette;
}

/// The bits of a field, repeated until they fill a byte.
std::uint8_t widened(std::uint32_t pixel, std::uint32_t mask) {
  if (mask == 0) return 255;
  const int shift = std::countr_zero(mask), n = std::popcount(mask);
  std::uint32_t v = (pixel & mask) >> shift;
  if (n >= 8) return static_cast<std::uint8_t>(v >> (n - 8));
  v <<= 8 - n;
  for (int filled = n; filled < 8; filled *= 2) v |= v >> filled;
  return static_cast<std::uint8_t>(v);
}

class Rows {
 public:
  Rows(const DecodeJob& job, const Header& h) : header_(h), compose_(job.options.convention == Convention::people) {
    if (h.bits <= 8) palette_ = read_palette(job, h);
  }

  void add(std::span<const std::byte> row, std::vector<std::uint8_t>& rgb) const {
    for (std::size_t x = 0; x < header_.width; ++x) {
      if (header_.bits <= 8) {
        const std::size_t bit = x * header_.bits;
        const std::uint32_t index =
            u8(row, bit / 8) >> (8 - header_.bits - bit % 8) & ((std::uint32_t{1} << header_.bits) - 1);
        rgb.insert(rgb.end(), palette_[index].begin(), palette_[index].end());
      } else if (header_.bits == 24) {
        for (std::size_t c = 0; c < 3; ++c) rgb.push_back(static_cast<std::uint8_t>(u8(row, 3 * x + 2 - c)));
      } else {
        add_fields(header_.bits == 16 ? le16(row, 2 * x) : le32(row, 4 * x), rgb);
      }
    }
  }

 private:
  void add_fields(std::uint32_t pixel, std::vector<std::uint8_t>& rgb) const {
    const std::uint8_t alpha = compose_ ? widened(pixel, header_.masks[3]) : 255;
    for (std::size_t c = 0; c < 3; ++c) rgb.push_back(on_white(widened(pixel, header_.masks[c]), alpha));
  }

  const Header& header_;
  bool compose_;
  std::array<Color, 256> palette_{};
};

}  // namespace

void decode_bmp(const DecodeJob& job, DecodedImage& out) {
  const Header h = read_header(job);
  accept_size(job, h.width, h.height, out);
  out.facts.bit_depth = h.bits <= 8 ? static_cast<int>(h.bits) : h.bits == 16 ? 5 : 8;
  out.facts.had_alpha = h.masks[3] != 0;
  if (job.header_only) return;

  const std::size_t row_bytes = (h.width * h.bits + 31) / 32 * 4;
  const std::size_t there = job.bytes.size() > h.pixels_at ? job.bytes.size() - h.pixels_at : 0;
  if (there / row_bytes < h.height) {
    fail(ErrorCategory::input, "{}: truncated BMP file: {} of {} rows are there", job.name, there / row_bytes,
         h.height);
  }
  reserve_pixels(job, out);
  const Rows rows(job, h);
  for (std::size_t y = 0; y < h.height; ++y) {
    const std::size_t stored = h.top_down ? y : h.height - 1 - y;
    rows.add(job.bytes.subspan(h.pixels_at + stored * row_bytes, row_bytes), out.image.rgb);
  }
}

}  // namespace mtmd::media
