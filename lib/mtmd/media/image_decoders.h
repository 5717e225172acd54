// Private to lib/mtmd/media: one function per format, and what they share.
#pragma once

#include <fmt/core.h>

#include "engine/base/error.h"
#include "mtmd/media/image_file.h"

namespace mtmd::media {

/// What a decoder is asked. `header_only`: fill the facts and stop.
struct DecodeJob {
  std::span<const std::byte> bytes;
  std::string_view name;  ///< for messages
  const ImageOptions& options;
  bool header_only = false;
};

/// Each fills facts (format, stored, bit_depth, had_alpha, orientation, warnings) and, unless header_only, the picture
/// as stored, before orientation.
void decode_png(const DecodeJob& job, DecodedImage& out);
void decode_jpeg(const DecodeJob& job, DecodedImage& out);
void decode_webp(const DecodeJob& job, DecodedImage& out);
void decode_bmp(const DecodeJob& job, DecodedImage& out);
void decode_gif(const DecodeJob& job, DecodedImage& out);
void decode_tiff(const DecodeJob& job, DecodedImage& out);
void decode_pnm(const DecodeJob& job, DecodedImage& out);

/// Checks the size that a header claims; records it in out.facts.stored.
void accept_size(const DecodeJob& job, std::uint64_t width, std::uint64_t height, DecodedImage& out);

/// Makes room for the whole picture without touching the memory, so that a short file with a large claim stays cheap.
void reserve_pixels(const DecodeJob& job, DecodedImage& out);

/// Adds a warning; repeated ones and all beyond the first 16 are dropped.
void add_warning(ImageFacts& facts, std::string_view text);

/// v on white: a in 0..255.
constexpr std::uint8_t on_white(std::uint8_t v, std::uint8_t a) noexcept {
  return static_cast<std::uint8_t>((v * a + 255 * (255 - a) + 127) / 255);
}

[[noreturn]] inline void damaged(const DecodeJob& job, ImageFormat format, std::string_view what) {
  fail(ErrorCategory::input, "{}: damaged {} file: {}", job.name, name(format), what);
}

}  // namespace mtmd::media
