#include "mtmd/media/bitmap_writers.h"

#include <leptonica/allheaders.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace mtmd::test {
namespace {

class Writer {
 public:
  Writer& put(std::uint64_t value, int n_bytes) {
    for (int i = 0; i < n_bytes; ++i) bytes.push_back(static_cast<std::byte>(i < 8 ? value >> (8 * i) & 255 : 0));
    return *this;
  }
  void set32(std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i) & 255);
  }
  Bytes bytes;
};

void put_rows(Writer& w, const BmpSpec& spec) {
  const int height = std::abs(spec.height);
  for (int i = 0; i < height; ++i) {
    const int y = spec.height < 0 ? i : height - 1 - i;
    std::size_t row_bytes = 0;
    unsigned pending = 0, n_pending = 0;
    for (int x = 0; x < spec.width; ++x) {
      const std::uint32_t v = spec.pixels[static_cast<std::size_t>(y) * spec.width + x];
      if (spec.bits >= 8) {
        w.put(v, spec.bits / 8), row_bytes += static_cast<std::size_t>(spec.bits) / 8;
        continue;
      }
      pending = pending << spec.bits | v, n_pending += static_cast<unsigned>(spec.bits);
      if (n_pending == 8 || x + 1 == spec.width)
        w.put(pending << (8 - n_pending), 1), ++row_bytes, n_pending = pending = 0;
    }
    while (row_bytes % 4 != 0) w.put(0, 1), ++row_bytes;
  }
}

/// Uncompressed LZW: codes of 3 bits, cleared before they would grow.
void put_codes(Writer& w, const std::vector<std::uint8_t>& indices) {
  constexpr unsigned kClear = 4, kEnd = 5;
  std::vector<unsigned> codes;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (i % 2 == 0) codes.push_back(kClear);
    codes.push_back(indices[i]);
  }
  codes.push_back(kEnd);
  std::vector<unsigned> packed;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    for (unsigned bit = 0; bit < 3; ++bit) {
      const std::size_t at = 3 * i + bit;
      if (at % 8 == 0) packed.push_back(0);
      packed.back() |= (codes[i] >> bit & 1) << at % 8;
    }
  }
  for (std::size_t i = 0; i < packed.size(); i += 255) {
    const std::size_t n = std::min<std::size_t>(255, packed.size() - i);
    w.put(n, 1);
    for (std::size_t k = 0; k < n; ++k) w.put(packed[i + k], 1);
  }
  w.put(0, 1);
}

}  // namespace

Bytes write_bmp(const BmpSpec& spec) {
  Writer w;
  w.put('B', 1).put('M', 1).put(0, 4).put(0, 4).put(0, 4);
  w.put(static_cast<std::uint32_t>(spec.header), 4);
  if (spec.header == 12) {
    w.put(static_cast<std::uint32_t>(spec.width), 2).put(static_cast<std::uint32_t>(spec.height), 2);
    w.put(1, 2).put(static_cast<std::uint32_t>(spec.bits), 2);
  } else {
    w.put(static_cast<std::uint32_t>(spec.width), 4).put(static_cast<std::uint32_t>(spec.height), 4);
    w.put(1, 2).put(static_cast<std::uint32_t>(spec.bits), 2).put(spec.compression, 4);
    w.put(0, 12).put(spec.palette.size(), 4).put(0, 4);
    if (spec.compression != 0 && spec.header == 40) {
      for (int i = 0; i < 3; ++i) w.put(spec.masks[static_cast<std::size_t>(i)], 4);
    } else if (spec.header > 40) {
      for (const std::uint32_t mask : spec.masks) w.put(mask, 4);
      w.put(0, 0);
      for (int i = 56; i < spec.header; ++i) w.put(0, 1);
    }
  }
  for (const std::uint32_t c : spec.palette) w.put(c, spec.header == 12 ? 3 : 4);
  w.set32(10, static_cast<std::uint32_t>(w.bytes.size()));
  put_rows(w, spec);
  w.set32(2, static_cast<std::uint32_t>(w.bytes.size()));
  return w.bytes;
}

Bytes write_gif(const GifSpec& spec) {
  Writer w;
  for (const char c : {'G', 'I', 'F', '8', '9', 'a'}) w.put(static_cast<unsigned char>(c), 1);
  w.put(static_cast<std::uint32_t>(spec.width), 2).put(static_cast<std::uint32_t>(spec.height), 2);
  w.put(0x81, 1).put(static_cast<std::uint32_t>(spec.background), 1).put(0, 1);  // four colours
  for (const std::uint32_t c : spec.palette) w.put(c >> 16, 1).put(c >> 8, 1).put(c, 1);
  for (const GifFrame& frame : spec.frames) {
    if (frame.transparent >= 0) {
      w.put(0xf921, 2).put(4, 1).put(1, 1).put(0, 2).put(static_cast<std::uint32_t>(frame.transparent), 1).put(0, 1);
    }
    w.put(0x2c, 1);
    for (const int v : {frame.x, frame.y, frame.width, frame.height}) w.put(static_cast<std::uint32_t>(v), 2);
    w.put(0, 1).put(2, 1);
    put_codes(w, frame.indices);
  }
  if (spec.trailer) w.put(0x3b, 1);
  return w.bytes;
}

Bytes write_tiff(const std::vector<TiffPage>& pages, int orientation) {
  Pixa* all = pixaCreate(0);
  for (const TiffPage& page : pages) {
    Pix* pix = pixCreate(page.width, page.height, 32);
    for (int y = 0; y < page.height; ++y) {
      for (int x = 0; x < page.width; ++x) {
        const std::uint8_t* p = &page.rgb[3 * (static_cast<std::size_t>(y) * page.width + x)];
        pixSetRGBPixel(pix, x, y, p[0], p[1], p[2]);
      }
    }
    pixSetInputFormat(pix, IFF_TIFF_LZW);
    pixaAddPix(all, pix, L_INSERT);
  }
  l_uint8* data = nullptr;
  size_t size = 0;
  if (pixaWriteMemMultipageTiff(&data, &size, all) != 0) throw std::runtime_error("Leptonica cannot write a TIFF");
  Bytes bytes(size);
  std::memcpy(bytes.data(), data, size);
  lept_free(data);
  pixaDestroy(&all);
  // libtiff has written an orientation of 1 into every directory; the first one is changed.
  const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
  const std::size_t directory = at(4) | at(5) << 8, n = at(directory);
  for (std::size_t entry = directory + 2; entry < directory + 2 + 12 * n; entry += 12) {
    if ((at(entry) | at(entry + 1) << 8) == 274) bytes[entry + 8] = static_cast<std::byte>(orientation);
  }
  return bytes;
}

}  // namespace mtmd::test
