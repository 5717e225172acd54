#include "mtmd/media/image_file.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "mtmd/media/exif.h"
#include "mtmd/media/image_decoders.h"

namespace mtmd::media {
namespace {

bool starts_with(std::span<const std::byte> bytes, std::string_view text, std::size_t at = 0) noexcept {
  return bytes.size() >= at + text.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

/// What an unreadable file seems to be, for the message.
std::string_view guess(std::span<const std::byte> bytes) noexcept {
  using namespace std::literals;
  if (starts_with(bytes, "II+\0"sv) || starts_with(bytes, "MM\0+"sv)) return "a BigTIFF";
  if (starts_with(bytes, "%PDF")) return "a PDF";
  if (starts_with(bytes, "ftyp", 4)) return "a HEIC, AVIF or video file";
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WAVE", 8)) return "a WAV sound";
  if (starts_with(bytes, "GGUF")) return "a GGUF model";
  if (starts_with(bytes, "<svg") || starts_with(bytes, "<?xml")) return "an SVG or XML text";
  return "of no known kind";
}

DecodedImage decode(std::span<const std::byte> bytes, std::string_view file, const ImageOptions& options,
                    bool header_only) {
  const DecodeJob job{bytes, file, options, header_only};
  if (bytes.empty()) fail(ErrorCategory::input, "{}: the file is empty, expected a picture", file);
  const auto format = image_format(bytes);
  if (!format) {
    fail(ErrorCategory::input,
         "{}: the content is {} ({} bytes); supported pictures are PNG, JPEG, WebP, BMP, GIF, TIFF and PPM/PGM", file,
         guess(bytes), bytes.size());
  }
  DecodedImage out;
  out.facts.format = *format;
  try {
    switch (*format) {
      case ImageFormat::png:
        decode_png(job, out);
        break;
      case ImageFormat::jpeg:
        decode_jpeg(job, out);
        break;
      case ImageFormat::webp:
        decode_webp(job, out);
        break;
      case ImageFormat::bmp:
        decode_bmp(job, out);
        break;
      case ImageFormat::gif:
        decode_gif(job, out);
        break;
      case ImageFormat::tiff:
        decode_tiff(job, out);
        break;
      case ImageFormat::pnm:
        decode_pnm(job, out);
        break;
    }
    ImageFacts& facts = out.facts;
    facts.size = facts.stored;
    if (options.convention == Convention::people && facts.orientation != 1) {
      facts.orientation_applied = true;
      if (facts.orientation >= 5) std::swap(facts.size.width, facts.size.height);
      if (!header_only) apply_orientation(out.image, facts.orientation);
    }
  } catch (const std::bad_alloc&) {
    fail(ErrorCategory::resource, "{}: not enough memory to decode {} x {} pixels ({} MB as RGB)", file,
         out.facts.stored.width, out.facts.stored.height,
         std::int64_t{3} * out.facts.stored.width * out.facts.stored.height / 1'000'000);
  }
  return out;
}

}  // namespace

std::string_view name(ImageFormat format) noexcept {
  switch (format) {
    case ImageFormat::png:
      return "PNG";
    case ImageFormat::jpeg:
      return "JPEG";
    case ImageFormat::webp:
      return "WebP";
    case ImageFormat::bmp:
      return "BMP";
    case ImageFormat::gif:
      return "GIF";
    case ImageFormat::tiff:
      return "TIFF";
    case ImageFormat::pnm:
      return "PPM/PGM";
  }
  return "";
}

std::optional<ImageFormat> image_format(std::span<const std::byte> bytes) noexcept {
  using namespace std::literals;
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return ImageFormat::png;
  if (starts_with(bytes, "\xff\xd8\xff")) return ImageFormat::jpeg;
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return ImageFormat::webp;
  if (starts_with(bytes, "GIF87a") || starts_with(bytes, "GIF89a")) return ImageFormat::gif;
  if (starts_with(bytes, "II*\0"sv) || starts_with(bytes, "MM\0*"sv)) return ImageFormat::tiff;
  if (starts_with(bytes, "BM") && starts_with(bytes, "\0\0\0"sv, 15))
    return ImageFormat::bmp;  // a header below 256 bytes
  if (starts_with(bytes, "P5") || starts_with(bytes, "P6")) {
    const char c = bytes.size() > 2 ? static_cast<char>(bytes[2]) : '\0';
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '#') return ImageFormat::pnm;
  }
  return std::nullopt;
}

void accept_size(const DecodeJob& job, std::uint64_t width, std::uint64_t height, DecodedImage& out) {
  if (width == 0 || height == 0) {
    damaged(job, out.facts.format, fmt::format("the header says {} x {} pixels", width, height));
  }
  const auto side = static_cast<std::uint64_t>(std::clamp<std::int64_t>(job.options.max_dimension, 0, INT32_MAX));
  if (width > side || height > side) {
    fail(ErrorCategory::resource, "{}: the {} header says {} x {} pixels; at most {} are accepted in width and height",
         job.name, name(out.facts.format), width, height, side);
  }
  const std::uint64_t n_pixels = width * height;  // both below 2^31
  if (n_pixels > static_cast<std::uint64_t>(std::max<std::int64_t>(job.options.max_pixels, 0))) {
    fail(ErrorCategory::resource,
         "{}: the {} header says {} x {} = {} pixels, {} MB as RGB; at most {} pixels are accepted, so scale it down "
         "first",
         job.name, name(out.facts.format), width, height, n_pixels, 3 * n_pixels / 1'000'000, job.options.max_pixels);
  }
  out.facts.stored = {static_cast<int>(width), static_cast<int>(height)};
}

void reserve_pixels(const DecodeJob&, DecodedImage& out) {
  out.image.width = out.facts.stored.width;
  out.image.height = out.facts.stored.height;
  out.image.rgb.reserve(std::size_t{3} * out.image.width * out.image.height);
}

void add_warning(ImageFacts& facts, std::string_view text) {
  if (facts.warnings.size() >= 16 ||
      std::find(facts.warnings.begin(), facts.warnings.end(), text) != facts.warnings.end())
    return;
  facts.warnings.emplace_back(text);
}

DecodedImage decode_image(std::span<const std::byte> bytes, std::string_view file, const ImageOptions& options) {
  return decode(bytes, file, options, false);
}

ImageFacts probe_image(std::span<const std::byte> bytes, std::string_view file, const ImageOptions& options) {
  return decode(bytes, file, options, true).facts;
}

}  // namespace mtmd::media
