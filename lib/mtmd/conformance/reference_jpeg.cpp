#include "mtmd/conformance/reference_jpeg.h"

#include <limits>
#include <memory>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_FAILURE_STRINGS
#define STBI_MAX_DIMENSIONS 16384
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace mtmd::conformance {

std::optional<image::Image> reference_jpeg(std::span<const std::byte> bytes) {
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) return std::nullopt;
  image::Image out;
  int channels = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()), static_cast<int>(bytes.size()), &out.width,
                            &out.height, &channels, 3),
      stbi_image_free);
  if (!pixels) return std::nullopt;
  out.rgb.assign(pixels.get(), pixels.get() + std::size_t{3} * out.width * out.height);
  return out;
}

}  // namespace mtmd::conformance
