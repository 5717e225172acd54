// Picture files: decoding ends in a picture of the announced size or in an Error about the input, in both conventions.
#include <cstdint>
#include <cstdlib>

#include "engine/base/error.h"
#include "mtmd/media/image_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mtmd;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  for (const auto convention : {media::Convention::people, media::Convention::reference}) {
    // The page matters to TIFF files of several pages only.
    const media::ImageOptions options{.convention = convention, .max_pixels = 1 << 20, .page = size % 3 == 0 ? 1 : 0};
    try {
      const auto got = media::decode_image(bytes, "fuzz", options);
      if (got.image.rgb.size() != std::size_t{3} * got.image.width * got.image.height) std::abort();
      if (got.image.size() != got.facts.size) std::abort();
      const auto probed = media::probe_image(bytes, "fuzz", options);
      if (probed.size != got.facts.size) std::abort();
    } catch (const Error& e) {
      if (e.category() != ErrorCategory::input && e.category() != ErrorCategory::resource) std::abort();
    }
  }
  return 0;
}
