// Any picture size through every projector type's preprocessing: counted tokens are made, nothing grows beyond the
// model's limits. Input: type, user limits, width and height, seed of the pixels.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "encoders/projector/projector.h"
#include "encoders/projector/tiny_mmproj.h"
#include "engine/base/error.h"

namespace {

using namespace mtmd;

struct Loaded {
  std::vector<std::byte> bytes;
  std::unique_ptr<gguf::File> file;
  std::unique_ptr<encoders::Projector> projector;
};

const std::vector<Loaded>& projectors() {
  static const auto device = make_device("reference");
  static const std::vector<Loaded> all = [] {
    std::vector<Loaded> loaded;
    for (const std::string& type : encoders::testing::TinyMmproj::types()) {
      Loaded& l = loaded.emplace_back();
      l.bytes = encoders::testing::TinyMmproj(type, {}).bytes();
      l.file = std::make_unique<gguf::File>(gguf::File::from_memory(l.bytes, type));
      l.projector = encoders::load_projector(*l.file, *device);
    }
    return loaded;
  }();
  return all;
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  struct {
    std::uint8_t type, limits;
    std::uint16_t min_tokens, max_tokens, width, height, seed;
  } in{};
  if (size < sizeof in) return 0;
  std::memcpy(&in, data, sizeof in);
  const encoders::Projector& projector = *projectors()[in.type % projectors().size()].projector;
  encoders::ImageLimits limits;
  if (in.limits & 1) limits.min_tokens = in.min_tokens % 1024;
  if (in.limits & 2) limits.max_tokens = in.max_tokens;
  const image::Size picture{in.width, in.height};
  if (std::int64_t{in.width} * in.height > 1 << 20) {  // only counted: pictures of that size would make this slow
    try {
      require(projector.count_tokens(picture, limits) > 0);
    } catch (const Error&) {
    }
    return 0;
  }
  image::Image image{picture.width, picture.height, {}};
  image.rgb.resize(std::size_t{3} * picture.width * picture.height);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i * (in.seed | 1) >> 3);
  try {
    const encoders::Preprocessed pre = projector.preprocess({&image, 1}, limits);
    int n = 0;
    for (const encoders::Input& input : pre.inputs) n += projector.n_tokens(input);
    require(n == projector.count_tokens(picture, limits));
    for (const encoders::Piece& piece : pre.layout) require(piece.input < static_cast<int>(pre.inputs.size()));
  } catch (const Error& e) {
    require(e.category() == ErrorCategory::input || e.category() == ErrorCategory::usage);
  }
  return 0;
}
