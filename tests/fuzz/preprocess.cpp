// Any picture size through every projector type's preprocessing: counted tokens are made, nothing grows beyond the
// model's limits. Input: type, user limits, width and height, seed of the pixels; then, optionally, which integer key
// of the file gets which value: the file is refused, or its pictures can still be counted.
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

struct Damage {
  std::uint8_t key;
  std::int32_t value;
};

/// Counts a picture with a file whose hyper-parameters were tampered with.
void count_with(std::string_view type, const Damage& damage, image::Size picture) {
  static const auto device = make_device("reference");
  encoders::testing::TinyMmproj mmproj(type, {});
  const auto& keys = mmproj.integer_keys();
  mmproj.writer().set(keys[damage.key % keys.size()], damage.value);
  const std::vector<std::byte> bytes = mmproj.bytes();
  try {
    const gguf::File file = gguf::File::from_memory(bytes, "damaged");
    const auto projector = encoders::load_projector(file, *device);
    const int n = projector->count_tokens(picture, {});
    require(n > 0 && n <= 1 << 20);
  } catch (const Error& e) {
    require(e.category() == ErrorCategory::model || e.category() == ErrorCategory::input);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  struct {
    std::uint8_t type, limits;
    std::uint16_t min_tokens, max_tokens, width, height, seed;
  } in{};
  if (size < sizeof in) return 0;
  std::memcpy(&in, data, sizeof in);
  if (Damage damage; size >= sizeof in + 5 && in.width > 0 && in.height > 0) {
    std::memcpy(&damage.key, data + sizeof in, 1), std::memcpy(&damage.value, data + sizeof in + 1, 4);
    const auto types = encoders::testing::tiny_types();
    return count_with(types[in.type % types.size()].type, damage, {in.width, in.height}), 0;
  }
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
