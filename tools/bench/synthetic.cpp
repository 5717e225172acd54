#include "bench/synthetic.h"

#include <png.h>
#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numbers>
#include <random>

#include <jpeglib.h>  // needs FILE and size_t before it

#include "engine/base/error.h"

namespace mtmd::bench {
namespace {

/// A file in memory, as libsndfile wants to see it.
struct SoundMemory {
  std::vector<std::byte> bytes;
  sf_count_t at = 0;

  static SoundMemory& of(void* p) { return *static_cast<SoundMemory*>(p); }
  static sf_count_t length(void* p) { return std::ssize(of(p).bytes); }
  static sf_count_t tell(void* p) { return of(p).at; }
  static sf_count_t seek(sf_count_t offset, int whence, void* p) {
    const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? of(p).at : length(p);
    return of(p).at = base + offset;
  }
  static sf_count_t read(void* to, sf_count_t n, void* p) {
    SoundMemory& m = of(p);
    n = std::min(n, length(p) - m.at);
    std::memcpy(to, m.bytes.data() + m.at, static_cast<std::size_t>(n));
    m.at += n;
    return n;
  }
  static sf_count_t write(const void* from, sf_count_t n, void* p) {
    SoundMemory& m = of(p);
    if (m.at + n > length(p)) m.bytes.resize(static_cast<std::size_t>(m.at + n));
    std::memcpy(m.bytes.data() + m.at, from, static_cast<std::size_t>(n));
    m.at += n;
    return n;
  }
};

std::vector<std::byte> sound_file(std::span<const float> samples, int rate, int format) {
  SoundMemory memory;
  SF_VIRTUAL_IO io{SoundMemory::length, SoundMemory::seek, SoundMemory::read, SoundMemory::write, SoundMemory::tell};
  SF_INFO info{};
  info.samplerate = rate;
  info.channels = 1;
  info.format = format | SF_FORMAT_PCM_16;
  std::unique_ptr<SNDFILE, int (*)(SNDFILE*)> file(::sf_open_virtual(&io, SFM_WRITE, &info, &memory), ::sf_close);
  if (!file || ::sf_writef_float(file.get(), samples.data(), std::ssize(samples)) != std::ssize(samples))
    fail(ErrorCategory::internal, "bench: libsndfile does not write a recording: {}", ::sf_strerror(file.get()));
  file.reset();  // the end of a FLAC file comes with closing
  return std::move(memory.bytes);
}

}  // namespace

image::Image made_picture(std::int32_t width, std::int32_t height) {
  image::Image picture{width, height, std::vector<std::uint8_t>(std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height))};
  std::minstd_rand random(1);
  std::size_t at = 0;
  for (std::int32_t y = 0; y < height; ++y)
    for (std::int32_t x = 0; x < width; ++x) {
      const bool inside = (x / 96 + y / 64) % 3 == 0;
      const auto noise = static_cast<std::int32_t>(random() % 9);
      const std::int32_t red = 200 * x / width + (inside ? 40 : 0), green = 200 * y / height + 20,
                         blue = inside ? 30 + (x * y) % 97 : 180 - 150 * x / width;
      for (const std::int32_t v : {red, green, blue}) picture.rgb[at++] = static_cast<std::uint8_t>(v + noise);
    }
  return picture;
}

std::vector<std::byte> png_file(const image::Image& picture) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(picture.width);
  header.height = static_cast<png_uint_32>(picture.height);
  header.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  if (!png_image_write_to_memory(&header, nullptr, &size, 0, picture.rgb.data(), 0, nullptr))
    fail(ErrorCategory::internal, "bench: libpng does not write a picture: {}", header.message);
  std::vector<std::byte> bytes(size);
  if (!png_image_write_to_memory(&header, bytes.data(), &size, 0, picture.rgb.data(), 0, nullptr))
    fail(ErrorCategory::internal, "bench: libpng does not write a picture: {}", header.message);
  bytes.resize(size);
  return bytes;
}

std::vector<std::byte> jpeg_file(const image::Image& picture) {
  jpeg_compress_struct c{};
  jpeg_error_mgr errors{};
  c.err = ::jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  ::jpeg_mem_dest(&c, &memory, &size);
  c.image_width = static_cast<JDIMENSION>(picture.width);
  c.image_height = static_cast<JDIMENSION>(picture.height);
  c.input_components = 3;
  c.in_color_space = JCS_RGB;
  ::jpeg_set_defaults(&c);
  ::jpeg_set_quality(&c, 90, TRUE);
  ::jpeg_start_compress(&c, TRUE);
  while (c.next_scanline < c.image_height) {
    auto* row = const_cast<JSAMPROW>(picture.rgb.data() + std::size_t{3} * c.next_scanline * c.image_width);
    ::jpeg_write_scanlines(&c, &row, 1);
  }
  ::jpeg_finish_compress(&c);
  const auto* begin = reinterpret_cast<const std::byte*>(memory);
  std::vector<std::byte> bytes(begin, begin + size);
  ::jpeg_destroy_compress(&c);
  std::free(memory);
  return bytes;
}

std::vector<float> made_sound(double seconds, int rate) {
  std::vector<float> samples(static_cast<std::size_t>(seconds * rate));
  std::minstd_rand random(1);
  double phase = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double t = static_cast<double>(i) / rate;
    phase += 2 * std::numbers::pi * (140 + 40 * std::sin(3 * t)) / rate;
    const double voiced = std::fmod(t, 1.3) < 1 ? 1 : 0;  // pauses between words
    double v = 0;
    for (int harmonic = 1; harmonic <= 6; ++harmonic) v += std::sin(harmonic * phase) / harmonic;
    samples[i] = static_cast<float>(0.15 * voiced * v + 0.002 * (static_cast<double>(random() % 2001) / 1000 - 1));
  }
  return samples;
}

std::vector<std::byte> wav_file(std::span<const float> samples, int rate) { return sound_file(samples, rate, SF_FORMAT_WAV); }
std::vector<std::byte> flac_file(std::span<const float> samples, int rate) { return sound_file(samples, rate, SF_FORMAT_FLAC); }

}  // namespace mtmd::bench
