// Kimi K2.5: MoonViT with a table of positions by row and column, cubic resizing and its own range of sizes.
#include "encoders/projector/kimi_picture.h"
#include "encoders/projector/registry.h"

namespace mtmd::encoders {
namespace {

class KimiK25 final : public KimiPicture {
 public:
  KimiK25(const gguf::File& file, Device& device)
      : KimiPicture("kimik25", file, device,
                    {"<|begin_of_image|>", "<|end_of_image|>", "<|media_begin|>", "<|media_end|>"},
                    TableResize::bicubic),
        pixels_(read_pixel_range()) {}

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    return dynamic_canvas(size, align(), pixels_, limits, image::Filter::bicubic);
  }

 private:
  PixelRange pixels_;
};

}  // namespace

extern const ProjectorType projector_kimik25 = {
    "kimik25", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<KimiK25>(file, device);
    }};

}  // namespace mtmd::encoders
