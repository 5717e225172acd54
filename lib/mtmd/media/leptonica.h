// Private to lib/mtmd/media: pictures that Leptonica decodes.
#pragma once

#include <memory>

#include "mtmd/media/image_decoders.h"

struct Pix;

namespace mtmd::media {

struct PixDestroyer {
  void operator()(Pix* pix) const noexcept;
};
using PixPtr = std::unique_ptr<Pix, PixDestroyer>;

/// Keeps Leptonica from writing to stderr.
void quiet_leptonica();

/// Hands `pix` (any depth, with or without a palette) over as RGB; transparent pixels on white for people.
void take_pixels(const DecodeJob& job, PixPtr pix, DecodedImage& out);

}  // namespace mtmd::media
