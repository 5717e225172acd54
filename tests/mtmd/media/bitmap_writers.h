// Writes small BMP and GIF files byte by byte, and TIFF files with Leptonica.
#pragma once

#include <array>

#include "mtmd/media/picture_writers.h"

namespace mtmd::test {

struct BmpSpec {
  int width = 0, height = 0;  ///< height < 0: rows from the top
  int bits = 24;
  int header = 40;  ///< bytes: 12 (OS/2), 40, 56, 124
  std::uint32_t compression = 0;
  std::array<std::uint32_t, 4> masks = {};  ///< of compression 3
  std::vector<std::uint32_t> palette = {};  ///< 0xrrggbb
  std::vector<std::uint32_t> pixels = {};   ///< as stored (an index, 0xrrggbb, or bit fields), top row first
};
Bytes write_bmp(const BmpSpec& spec);

struct GifFrame {
  int x = 0, y = 0, width = 0, height = 0;
  int transparent = -1;                    ///< palette index
  std::vector<std::uint8_t> indices = {};  ///< 0..3, row by row
};
struct GifSpec {
  int width = 0, height = 0, background = 0;
  std::array<std::uint32_t, 4> palette = {};  ///< 0xrrggbb
  std::vector<GifFrame> frames = {};
  bool trailer = true;
};
Bytes write_gif(const GifSpec& spec);

/// One page per picture: interleaved RGB of width x height.
struct TiffPage {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb = {};
};
Bytes write_tiff(const std::vector<TiffPage>& pages, int orientation = 1);

}  // namespace mtmd::test
