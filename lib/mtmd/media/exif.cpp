#include "mtmd/media/exif.h"

#include <cstdint>
#include <cstring>
#include <utility>

namespace mtmd::media {
namespace {

/// Bounded little- or big-endian reads; past the end they are 0.
struct TiffView {
  std::span<const std::byte> bytes;
  bool big_endian = false;

  std::uint32_t read(std::size_t at, std::size_t n) const noexcept {
    if (at > bytes.size() || bytes.size() - at < n) return 0;
    std::uint32_t v = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t from = big_endian ? i : n - 1 - i;
      v = v << 8 | std::to_integer<std::uint32_t>(bytes[at + from]);
    }
    return v;
  }
};

constexpr std::uint32_t tag_orientation = 0x0112, type_short = 3, type_long = 4;

}  // namespace

int exif_orientation(std::span<const std::byte> tiff) noexcept {
  if (tiff.size() >= 6 && std::memcmp(tiff.data(), "Exif\0\0", 6) == 0) tiff = tiff.subspan(6);
  if (tiff.size() < 8) return 1;
  const bool big = std::memcmp(tiff.data(), "MM\0*", 4) == 0;
  if (!big && std::memcmp(tiff.data(), "II*\0", 4) != 0) return 1;
  const TiffView view{tiff, big};
  const std::size_t ifd = view.read(4, 4);
  const std::uint32_t n_entries = view.read(ifd, 2);
  for (std::uint32_t i = 0; i < n_entries; ++i) {
    const std::size_t entry = ifd + 2 + std::size_t{12} * i;
    if (entry >= tiff.size()) break;
    if (view.read(entry, 2) != tag_orientation) continue;
    const std::uint32_t type = view.read(entry + 2, 2);
    if (type != type_short && type != type_long) return 1;
    const std::uint32_t v = view.read(entry + 8, type == type_short ? 2 : 4);
    return v >= 1 && v <= 8 ? static_cast<int>(v) : 1;
  }
  return 1;
}

void apply_orientation(image::Image& image, int orientation) {
  if (orientation <= 1 || orientation > 8) return;
  // Upright pixel (x, y) comes from stored pixel (sx, sy): 5..8 exchange the axes, then each axis may run backwards.
  const bool swap_axes = orientation >= 5;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  image::Image up;
  up.width = swap_axes ? image.height : image.width;
  up.height = swap_axes ? image.width : image.height;
  up.rgb.resize(image.rgb.size());
  const std::size_t stored_width = static_cast<std::size_t>(image.width);
  std::uint8_t* to = up.rgb.data();
  for (int y = 0; y < up.height; ++y) {
    for (int x = 0; x < up.width; ++x, to += 3) {
      int sx = swap_axes ? y : x, sy = swap_axes ? x : y;
      if (flip_x) sx = image.width - 1 - sx;
      if (flip_y) sy = image.height - 1 - sy;
      std::memcpy(to, image.rgb.data() + 3 * (static_cast<std::size_t>(sy) * stored_width + sx), 3);
    }
  }
  image = std::move(up);
}

}  // namespace mtmd::media
