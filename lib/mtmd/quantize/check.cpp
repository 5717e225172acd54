#include "mtmd/quantize/check.h"

#include <algorithm>

#include "encoders/projector/registry.h"
#include "engine/base/error.h"
#include "engine/device/device.h"
#include "engine/gguf/gguf.h"

namespace mtmd::quantize {
namespace {

/// Something to look at: shades and an edge.
image::Image test_picture() {
  constexpr int kSide = 64;
  image::Image picture{kSide, kSide, {}};
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const auto shade = static_cast<std::uint8_t>(x < kSide / 2 ? 4 * x : 255 - 3 * y);
      picture.rgb.insert(picture.rgb.end(), {shade, static_cast<std::uint8_t>(4 * y), 128});
    }
  return picture;
}

}  // namespace

std::string check_mmproj(const std::filesystem::path& path, int threads) {
  const gguf::File file = gguf::File::open(path);
  const std::string_view type = encoders::projector_type_of(file.metadata());
  const auto known = encoders::projector_types();
  if (std::ranges::find(known, type) == known.end())
    return fmt::format("its projector type '{}' is not one that this build can run", type);
  const auto device = make_device("cpu", {.threads = threads, .isa = {}});
  const auto projector = encoders::load_projector(file, *device);
  const image::Image picture = test_picture();
  const encoders::Preprocessed pre = projector->preprocess({&picture, 1}, {});
  const encoders::Input* input = &pre.inputs.at(0);
  Workspace ws(*device);
  projector->encode({&input, 1}, ws);  // refuses results that are not finite
  return {};
}

}  // namespace mtmd::quantize
