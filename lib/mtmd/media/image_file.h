// Pictures from bytes: PNG, JPEG, WebP, BMP, GIF, TIFF, PPM/PGM. The type is found from the content, never from a file
// name.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/image/image.h"

namespace mtmd::media {

enum class ImageFormat { png, jpeg, webp, bmp, gif, tiff, pnm };
std::string_view name(ImageFormat format) noexcept;  ///< "PNG", "JPEG", "WebP", "BMP", "GIF", "TIFF", "PPM/PGM"

/// The format that the first bytes announce; nothing when it is none that decode_image reads.
std::optional<ImageFormat> image_format(std::span<const std::byte> bytes) noexcept;

/// How a file becomes 8-bit RGB.
enum class Convention {
  people,     ///< EXIF orientation applied, alpha composed on white, 16 bits rounded to 8
  reference,  ///< what the recorded results used: orientation ignored, alpha dropped, high byte of 16 bits
};

struct ImageOptions {
  Convention convention = Convention::people;
  std::int64_t max_pixels = std::int64_t{1} << 28;  ///< 268 million: 805 MB as RGB
  std::int64_t max_dimension = 65535;               ///< of width and of height, in pixels
  int page = 0;                                     ///< of a TIFF file, from 0
};

struct ImageFacts {
  ImageFormat format{};
  image::Size stored;                 ///< as in the file, before orientation
  image::Size size;                   ///< as decoded
  int orientation = 1;                ///< EXIF 1..8 as the file says; 1 when it says nothing sensible
  bool orientation_applied = false;   ///< true when it changed the picture
  bool had_alpha = false;             ///< an alpha channel or a transparent colour is declared
  int bit_depth = 8;                  ///< bits per sample in the file (palette: bits of an index)
  int pages = 1;                      ///< of a TIFF file
  std::vector<std::string> warnings;  ///< what the libraries complained of; the picture is complete all the same
};

struct DecodedImage {
  image::Image image;
  ImageFacts facts;
};

/// Decodes the picture in `bytes`; `name` is for messages. The size is checked against the options before anything of
/// that size is allocated. Of an animation the first picture counts, except for animated WebP, which is refused.
/// Throws Error(input) when the format is unknown, damaged, or ends before the whole picture is there (the message says
/// how much was), Error(resource) when the picture is larger than the limits or than memory.
DecodedImage decode_image(std::span<const std::byte> bytes, std::string_view name, const ImageOptions& options = {});

/// The facts alone, from the header: no pixel is decoded. Same errors, except those that lie beyond the header.
ImageFacts probe_image(std::span<const std::byte> bytes, std::string_view name, const ImageOptions& options = {});

}  // namespace mtmd::media
