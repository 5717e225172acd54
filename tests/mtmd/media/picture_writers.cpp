#include "mtmd/media/picture_writers.h"

#include <cstdio>

#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace mtmd::test {

Bytes read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot open " + path);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  return bytes_of(text);
}

int png_channels(int colour) { return colour == 2 ? 3 : colour == 4 ? 2 : colour == 6 ? 4 : 1; }

namespace {

/// One row as PNG packs it: the first sample in the highest bits, 16 bits big-endian.
std::vector<std::uint8_t> pack_row(const PngSpec& s, int y) {
  const std::size_t n = static_cast<std::size_t>(s.width) * png_channels(s.colour);
  std::vector<std::uint8_t> row((n * s.depth + 7) / 8);
  for (std::size_t i = 0; i < n; ++i) {
    const unsigned v = s.samples[y * n + i];
    if (s.depth == 16) {
      row[2 * i] = static_cast<std::uint8_t>(v >> 8);
      row[2 * i + 1] = static_cast<std::uint8_t>(v);
    } else {
      const std::size_t bit = i * s.depth;
      row[bit / 8] = static_cast<std::uint8_t>(row[bit / 8] | v << (8 - s.depth - bit % 8));
    }
  }
  return row;
}

void set_transparency(png_structp png, png_infop info, const PngSpec& s) {
  if (s.transparent.empty()) return;
  png_color_16 colour{};
  std::vector<png_byte> alphas(s.transparent.begin(), s.transparent.end());
  if (s.colour == 0) colour.gray = s.transparent[0];
  if (s.colour == 2) {
    colour.red = s.transparent[0];
    colour.green = s.transparent[1];
    colour.blue = s.transparent[2];
  }
  const bool palette = s.colour == 3;
  png_set_tRNS(png, info, palette ? alphas.data() : nullptr, palette ? static_cast<int>(alphas.size()) : 1,
               palette ? nullptr : &colour);
}

}  // namespace

Bytes write_png(const PngSpec& s) {
  Bytes out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp p, png_bytep data, std::size_t n) {
        auto& to = *static_cast<Bytes*>(png_get_io_ptr(p));
        to.insert(to.end(), reinterpret_cast<std::byte*>(data), reinterpret_cast<std::byte*>(data) + n);
      },
      nullptr);
  png_set_IHDR(png, info, s.width, s.height, s.depth, s.colour, s.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
  if (s.colour == 3) {
    png_set_PLTE(png, info, reinterpret_cast<png_const_colorp>(s.palette.data()),
                 static_cast<int>(s.palette.size() / 3));
  }
  set_transparency(png, info, s);
  png_write_info(png, info);
  const auto write_exif = [&] {
    static constexpr png_byte name[] = "eXIf";
    if (!s.exif.empty()) png_write_chunk(png, name, reinterpret_cast<png_const_bytep>(s.exif.data()), s.exif.size());
  };
  if (!s.exif_at_end) write_exif();
  const int n_passes = png_set_interlace_handling(png);
  for (int pass = 0; pass < n_passes; ++pass) {
    for (int y = 0; y < s.height; ++y) png_write_row(png, pack_row(s, y).data());
  }
  if (s.exif_at_end) write_exif();
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return out;
}

Bytes write_jpeg(const JpegSpec& s) {
  jpeg_compress_struct c{};
  jpeg_error_mgr errors{};
  c.err = jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  unsigned char* data = nullptr;
  unsigned long n = 0;
  jpeg_mem_dest(&c, &data, &n);
  c.image_width = s.width;
  c.image_height = s.height;
  c.input_components = s.n_channels;
  c.in_color_space = s.n_channels == 1 ? JCS_GRAYSCALE : s.n_channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&c);
  if (s.ycck) jpeg_set_colorspace(&c, JCS_YCCK);
  jpeg_set_quality(&c, s.quality, TRUE);
  if (s.progressive) jpeg_simple_progression(&c);
  c.write_Adobe_marker = s.n_channels == 4 && s.adobe_marker;
  c.restart_in_rows = s.restart_rows;
  jpeg_start_compress(&c, TRUE);
  if (!s.exif.empty()) {
    Bytes app1 = bytes_of(std::string_view("Exif\0\0", 6));
    app1.insert(app1.end(), s.exif.begin(), s.exif.end());
    jpeg_write_marker(&c, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(app1.data()),
                      static_cast<unsigned>(app1.size()));
  }
  while (c.next_scanline < c.image_height) {
    auto* row = const_cast<JSAMPROW>(s.samples.data() + std::size_t{c.next_scanline} * s.width * s.n_channels);
    jpeg_write_scanlines(&c, &row, 1);
  }
  jpeg_finish_compress(&c);
  jpeg_destroy_compress(&c);
  const auto* p = reinterpret_cast<std::byte*>(data);
  Bytes out(p, p + n);
  std::free(data);
  return out;
}

namespace {

void append_le32(Bytes& out, std::size_t v) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<std::byte>(v >> (8 * i)));
}

void append_chunk(Bytes& out, std::string_view name, std::span<const std::byte> payload) {
  const Bytes id = bytes_of(name);
  out.insert(out.end(), id.begin(), id.end());
  append_le32(out, payload.size());
  out.insert(out.end(), payload.begin(), payload.end());
  if (payload.size() % 2) out.push_back(std::byte{0});
}

}  // namespace

Bytes write_webp(int width, int height, const std::vector<std::uint8_t>& rgba, bool lossless, const Bytes& exif) {
  std::uint8_t* data = nullptr;
  const std::size_t n = lossless ? WebPEncodeLosslessRGBA(rgba.data(), width, height, 4 * width, &data)
                                 : WebPEncodeRGBA(rgba.data(), width, height, 4 * width, 95, &data);
  const auto* p = reinterpret_cast<std::byte*>(data);
  Bytes simple(p, p + n);
  WebPFree(data);
  if (exif.empty()) return simple;
  Bytes vp8x(10, std::byte{0});
  vp8x[0] = std::byte{0x08};  // EXIF present
  for (int i = 0; i < 3; ++i) {
    vp8x[4 + i] = static_cast<std::byte>((width - 1) >> (8 * i));
    vp8x[7 + i] = static_cast<std::byte>((height - 1) >> (8 * i));
  }
  Bytes body = bytes_of("WEBP");
  append_chunk(body, "VP8X", vp8x);
  body.insert(body.end(), simple.begin() + 12, simple.end());
  append_chunk(body, "EXIF", exif);
  Bytes out;
  append_chunk(out, "RIFF", body);
  return out;
}

Bytes exif_block(int orientation, bool big_endian) {
  Bytes out = bytes_of(big_endian ? "MM" : "II");
  const auto put = [&](unsigned v, int n) {
    for (int i = 0; i < n; ++i) out.push_back(static_cast<std::byte>(v >> (8 * (big_endian ? n - 1 - i : i))));
  };
  put(42, 2);
  put(8, 4);       // offset of the IFD
  put(2, 2);       // entries
  put(0x0100, 2);  // ImageWidth, LONG, 1 value
  put(4, 2), put(1, 4), put(640, 4);
  put(0x0112, 2);  // Orientation, SHORT, 1 value
  put(3, 2), put(1, 4), put(orientation, 2), put(0, 2);
  put(0, 4);
  return out;
}

}  // namespace mtmd::test
