// The single filters behind resize(); sizes differ and are at least 1 when they are called.
#pragma once

#include "encoders/image/resize.h"

namespace mtmd::image {

Image resize_bilinear(const Image& source, Size size);
Image resize_cubic(const Image& source, Size size);
Image resize_antialiased(const Image& source, Size size, Filter filter);

}  // namespace mtmd::image
