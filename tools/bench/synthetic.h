// Pictures and recordings that are made up, as files in memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "encoders/image/image.h"

namespace mtmd::bench {

/// Gradients, edges and some noise: compresses about as a photograph does.
image::Image made_picture(std::int32_t width, std::int32_t height);
std::vector<std::byte> png_file(const image::Image& picture);
std::vector<std::byte> jpeg_file(const image::Image& picture);  ///< quality 90

/// A voice-like mixture of tones with pauses, and noise; mono, in -1..1.
std::vector<float> made_sound(double seconds, int rate);
std::vector<std::byte> wav_file(std::span<const float> samples, int rate);   ///< 16 bits
std::vector<std::byte> flac_file(std::span<const float> samples, int rate);  ///< 16 bits

}  // namespace mtmd::bench
