// The one EXIF field that changes a picture: its orientation (EXIF 2.32, tag 0x0112).
#pragma once

#include <cstddef>
#include <span>

#include "encoders/image/image.h"

namespace mtmd::media {

/// `tiff`: an EXIF block from its byte-order mark ("II*\0" or "MM\0*") on; a leading "Exif\0\0" is skipped.
/// 1..8, or 1 when there is no such tag or it makes no sense.
int exif_orientation(std::span<const std::byte> tiff) noexcept;

/// Turns and mirrors a picture that was stored with `orientation` (1..8; 1 does nothing) so that it stands upright.
void apply_orientation(image::Image& image, int orientation);

}  // namespace mtmd::media
