// Kimi-VL (arXiv:2504.07491): MoonViT on pictures of up to 1024 tokens.
#include "encoders/projector/kimi_picture.h"
#include "encoders/projector/registry.h"

namespace mtmd::encoders {
namespace {

class KimiVl final : public KimiPicture {
 public:
  KimiVl(const gguf::File& file, Device& device)
      : KimiPicture("kimivl", file, device, {"<|media_start|>", "<|media_end|>"}, TableResize::antialias) {}

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    return dynamic_canvas(size, align(), token_range(limits, {8, 1024}), image::Filter::bilinear);
  }
};

}  // namespace

extern const ProjectorType projector_kimivl = {
    "kimivl", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<KimiVl>(file, device);
    }};

}  // namespace mtmd::encoders
