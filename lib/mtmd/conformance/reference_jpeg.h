// JPEG decoded exactly as the recorded results decoded it. People's files go through lib/mtmd/media instead.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "encoders/image/image.h"

namespace mtmd::conformance {

/// Nothing when stb_image cannot read the file.
std::optional<image::Image> reference_jpeg(std::span<const std::byte> bytes);

}  // namespace mtmd::conformance
