// WebP (https://developers.google.com/speed/webp/docs/riff_container) through libwebp: lossy and lossless, with alpha.
#include <webp/decode.h>

#include <cstring>

#include "mtmd/media/exif.h"
#include "mtmd/media/image_decoders.h"

namespace mtmd::media {
namespace {

std::string_view reason(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OK:
      return "no error";
    case VP8_STATUS_OUT_OF_MEMORY:
      return "out of memory";
    case VP8_STATUS_INVALID_PARAM:
      return "inconsistent header";
    case VP8_STATUS_BITSTREAM_ERROR:
      return "invalid bitstream";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "an unsupported feature";
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "not enough data";
    case VP8_STATUS_USER_ABORT:
      return "aborted";
  }
  return "an unknown error";
}

std::size_t little_endian(std::span<const std::byte> bytes, std::size_t at) {
  std::size_t v = 0;
  for (int i = 3; i >= 0; --i) v = v << 8 | std::to_integer<std::size_t>(bytes[at + i]);
  return v;
}

int orientation_of(std::span<const std::byte> bytes) {
  std::size_t at = 12;
  while (at <= bytes.size() && bytes.size() - at >= 8) {
    const std::size_t n = little_endian(bytes, at + 4);
    if (n > bytes.size() - at - 8) break;
    if (std::memcmp(bytes.data() + at, "EXIF", 4) == 0) return exif_orientation(bytes.subspan(at + 8, n));
    at += 8 + n + (n & 1);
  }
  return 1;
}

[[noreturn]] void give_up(const DecodeJob& job, VP8StatusCode status) {
  if (status == VP8_STATUS_OUT_OF_MEMORY) throw std::bad_alloc();
  if (status == VP8_STATUS_NOT_ENOUGH_DATA || status == VP8_STATUS_SUSPENDED) {
    const std::size_t promised = job.bytes.size() >= 12 ? little_endian(job.bytes, 4) + 8 : 0;
    fail(ErrorCategory::input, "{}: truncated WebP file: {} of {} bytes are there; the picture cannot be decoded whole",
         job.name, job.bytes.size(), promised);
  }
  damaged(job, ImageFormat::webp, reason(status));
}

}  // namespace

void decode_webp(const DecodeJob& job, DecodedImage& out) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(job.bytes.data());
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) fail(ErrorCategory::internal, "libwebp: headers and library differ");
  const VP8StatusCode header = WebPGetFeatures(data, job.bytes.size(), &config.input);
  if (header != VP8_STATUS_OK) give_up(job, header);
  accept_size(job, static_cast<std::uint64_t>(config.input.width), static_cast<std::uint64_t>(config.input.height),
              out);
  out.facts.had_alpha = config.input.has_alpha;
  out.facts.orientation = orientation_of(job.bytes);
  if (config.input.has_animation) {
    fail(ErrorCategory::input, "{}: an animated WebP; only still pictures are supported, so extract a frame first",
         job.name);
  }
  if (job.header_only) return;

  const bool compose = config.input.has_alpha && job.options.convention == Convention::people;
  const std::size_t n_channels = compose ? 4 : 3, width = out.facts.stored.width, height = out.facts.stored.height;
  std::vector<std::uint8_t> pixels(width * height * n_channels);
  config.output.colorspace = compose ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {pixels.data(), static_cast<int>(width * n_channels), pixels.size()};
  const VP8StatusCode status = WebPDecode(data, job.bytes.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (status != VP8_STATUS_OK) give_up(job, status);
  out.image.width = out.facts.stored.width;
  out.image.height = out.facts.stored.height;
  if (compose) {
    for (std::size_t i = 0; i < width * height; ++i) {
      const std::uint8_t a = pixels[4 * i + 3];
      for (std::size_t c = 0; c < 3; ++c) pixels[3 * i + c] = on_white(pixels[4 * i + c], a);
    }
    pixels.resize(width * height * 3);
  }
  out.image.rgb = std::move(pixels);
}

}  // namespace mtmd::media
