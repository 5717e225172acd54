// Writes small pictures with the format libraries, so that the decoders meet files of every kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mtmd::test {

using Bytes = std::vector<std::byte>;

Bytes read_file(const std::string& path);
inline Bytes bytes_of(std::string_view text) {
  const auto* p = reinterpret_cast<const std::byte*>(text.data());
  return {p, p + text.size()};
}

struct PngSpec {
  int width = 0, height = 0;
  int depth = 8;   ///< 1, 2, 4, 8, 16
  int colour = 2;  ///< 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA (as in IHDR)
  bool interlaced = false;
  std::vector<std::uint16_t> samples = {};      ///< one per channel and pixel, each below 2^depth
  std::vector<std::uint8_t> palette = {};       ///< RGB triples
  std::vector<std::uint16_t> transparent = {};  ///< tRNS: palette alphas, or one grey, or one RGB
  Bytes exif = {};                              ///< an eXIf chunk
  bool exif_at_end = false;
};
Bytes write_png(const PngSpec& spec);
int png_channels(int colour);

struct JpegSpec {
  int width = 0, height = 0, n_channels = 3;  ///< 1 grey, 3 RGB, 4 CMYK
  bool progressive = false, adobe_marker = true, ycck = false;
  int quality = 95, restart_rows = 0;
  std::vector<std::uint8_t> samples = {};
  Bytes exif = {};  ///< APP1 payload after "Exif\0\0"
};
Bytes write_jpeg(const JpegSpec& spec);

/// rgba: 4 bytes a pixel. exif: TIFF block, makes an extended (VP8X) file.
Bytes write_webp(int width, int height, const std::vector<std::uint8_t>& rgba, bool lossless, const Bytes& exif = {});

/// A TIFF block with one IFD that has `orientation`, in either byte order.
Bytes exif_block(int orientation, bool big_endian);

}  // namespace mtmd::test
