// LightOnOCR (arXiv:2601.14251): Pixtral's encoder on pages scaled to one longest side, without breaks between rows.
#include "encoders/image/sizing.h"
#include "encoders/projector/pixtral_picture.h"
#include "encoders/projector/registry.h"

namespace mtmd::encoders {
namespace {

class LightOnOcr final : public PixtralPicture {
 public:
  LightOnOcr(const gguf::File& file, Device& device)
      : PixtralPicture("lightonocr", file, device, {"<|im_start|>", "<|im_end|>"}),
        longest_(require_in(metadata_, "clip.vision.preproc_image_size", 1, 1 << 13)) {}

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    return longest_side_canvas(size, align(), longest_, limits, image::Filter::bicubic);
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    embed_cells(y, inputs, ws);
  }

  Presets trained_prompts() const override {
    Presets presets = PixtralPicture::trained_prompts();
    presets.ocr_prompt.clear();
    presets.picture_alone = true;
    return presets;
  }

 private:
  int longest_ = 0;  ///< pixels
};

}  // namespace

extern const ProjectorType projector_lightonocr = {
    "lightonocr", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<LightOnOcr>(file, device);
    }};

}  // namespace mtmd::encoders
