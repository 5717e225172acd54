// GIF (https://www.w3.org/Graphics/GIF/spec-gif89a.txt): the first picture, through Leptonica.
#include <leptonica/allheaders.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "mtmd/media/byte_order.h"
#include "mtmd/media/leptonica.h"

namespace mtmd::media {
namespace {

constexpr std::uint32_t kExtension = 0x21, kImage = 0x2c, kTrailer = 0x3b, kGraphicControl = 0xf9;

/// Where the first picture of a file is.
struct FirstPicture {
  image::Size screen;
  int x = 0, y = 0;
  image::Size size;
  int bits = 8;                              ///< of a palette index
  std::optional<std::uint32_t> transparent;  ///< palette index
  std::uint32_t background = 0;              ///< palette index
  std::size_t end = 0;                       ///< byte behind it
  bool more = false;                         ///< other pictures follow
};

/// Walks over the blocks of a file; the compressed pixels are left to Leptonica.
class Blocks {
 public:
  explicit Blocks(const DecodeJob& job) : job_(job) {}

  FirstPicture find() {
    need(13);
    FirstPicture first;
    first.screen = {static_cast<int>(le16(job_.bytes, 6)), static_cast<int>(le16(job_.bytes, 8))};
    first.background = u8(job_.bytes, 11);
    at_ = 13;
    skip_palette(u8(job_.bytes, 10), first);
    if (!next_picture(first)) damaged(job_, ImageFormat::gif, "it holds no picture");
    first.end = at_;
    first.more = has_another();
    return first;
  }

 private:
  void need(std::size_t n) const {
    if (job_.bytes.size() < at_ + n) {
      fail(ErrorCategory::input, "{}: truncated GIF file: it ends after {} bytes, before the first picture does",
           job_.name, job_.bytes.size());
    }
  }

  void skip_palette(std::uint32_t flags, FirstPicture& first) {
    if ((flags & 0x80) == 0) return;
    const std::uint32_t bits = (flags & 7) + 1;
    need(std::size_t{3} << bits);
    at_ += std::size_t{3} << bits;
    first.bits = static_cast<int>(bits);
  }

  void skip_sub_blocks() {
    for (std::uint32_t n = 1; n != 0; at_ += n) {
      need(1);
      n = u8(job_.bytes, at_++);
      need(n);
    }
  }

  bool next_picture(FirstPicture& p) {
    for (;;) {
      need(1);
      const std::uint32_t kind = u8(job_.bytes, at_++);
      if (kind == kTrailer) return false;
      if (kind == kExtension) {
        need(6);
        if (u8(job_.bytes, at_) == kGraphicControl && (u8(job_.bytes, at_ + 2) & 1) != 0) {
          p.transparent = u8(job_.bytes, at_ + 5);
        }
        ++at_;
        skip_sub_blocks();
      } else if (kind == kImage) {
        read_picture(p);
        return true;
      } else {
        damaged(job_, ImageFormat::gif, fmt::format("a block of unknown kind {:#x} at byte {}", kind, at_ - 1));
      }
    }
  }

  void read_picture(FirstPicture& p) {
    need(9);
    p.x = static_cast<int>(le16(job_.bytes, at_)), p.y = static_cast<int>(le16(job_.bytes, at_ + 2));
    p.size = {static_cast<int>(le16(job_.bytes, at_ + 4)), static_cast<int>(le16(job_.bytes, at_ + 6))};
    const std::uint32_t flags = u8(job_.bytes, at_ + 8);
    at_ += 9;
    skip_palette(flags, p);
    need(1);
    ++at_;  // bits of the first codes
    skip_sub_blocks();
  }

  /// What follows the first picture may be damaged: then it does not count.
  bool has_another() {
    try {
      FirstPicture other;
      return next_picture(other);
    } catch (const Error&) {
      return false;
    }
  }

  const DecodeJob& job_;
  std::size_t at_ = 0;
};

/// The file up to the end of its first picture, so that nothing else is unpacked.
std::vector<l_uint8> first_alone(const DecodeJob& job, std::size_t end) {
  std::vector<l_uint8> bytes(end + 1);
  std::memcpy(bytes.data(), job.bytes.data(), end);
  bytes[end] = kTrailer;
  return bytes;
}

using Rgb = std::array<std::uint8_t, 3>;

/// What each palette index looks like; those that are not defined are black.
std::array<Rgb, 256> palette_of(Pix* pix) {
  std::array<Rgb, 256> palette{};
  for (int i = 0; i < std::min(256, pixcmapGetCount(pixGetColormap(pix))); ++i) {
    l_int32 red = 0, green = 0, blue = 0;
    pixcmapGetColor(pixGetColormap(pix), i, &red, &green, &blue);
    palette[static_cast<std::size_t>(i)] = {static_cast<std::uint8_t>(red), static_cast<std::uint8_t>(green),
                                            static_cast<std::uint8_t>(blue)};
  }
  return palette;
}

}  // namespace

void decode_gif(const DecodeJob& job, DecodedImage& out) {
  const FirstPicture first = Blocks(job).find();
  // Old writers leave the screen out, or make it too small.
  const image::Size screen{std::max(first.screen.width, first.x + first.size.width),
                           std::max(first.screen.height, first.y + first.size.height)};
  accept_size(job, static_cast<std::uint64_t>(screen.width), static_cast<std::uint64_t>(screen.height), out);
  out.facts.bit_depth = first.bits, out.facts.had_alpha = first.transparent.has_value();
  if (first.size.width == 0 || first.size.height == 0) damaged(job, ImageFormat::gif, "its first picture is empty");
  if (first.more) add_warning(out.facts, "an animation: only its first picture is used");
  if (job.header_only) return;

  quiet_leptonica();
  const std::vector<l_uint8> bytes = first_alone(job, first.end);
  const PixPtr pix(pixReadMemGif(bytes.data(), bytes.size()));
  if (!pix || pixGetColormap(pix.get()) == nullptr || pixGetWidth(pix.get()) != first.size.width ||
      pixGetHeight(pix.get()) != first.size.height) {
    damaged(job, ImageFormat::gif, "its first picture cannot be unpacked");
  }
  reserve_pixels(job, out);
  const std::array<Rgb, 256> palette = palette_of(pix.get());
  // Where the picture does not show: the reference has the background colour there, people expect paper.
  Rgb behind = {255, 255, 255};
  if (job.options.convention == Convention::reference)
    behind = first.background > 0 ? palette[first.background] : Rgb{};
  for (int y = 0; y < screen.height; ++y) {
    for (int x = 0; x < screen.width; ++x) {
      l_uint32 index = 0;
      // Outside the picture Leptonica answers with an error.
      const bool shows = pixGetPixel(pix.get(), x - first.x, y - first.y, &index) == 0 && index != first.transparent;
      const Rgb& color = shows ? palette[index & 255] : behind;
      out.image.rgb.insert(out.image.rgb.end(), color.begin(), color.end());
    }
  }
}

}  // namespace mtmd::media
