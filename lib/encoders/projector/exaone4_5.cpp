// EXAONE 4.5: Qwen2.5-VL's encoder with grouped keys and values, cubic resizing and its own range of sizes.
#include <fmt/core.h>

#include "encoders/projector/registry.h"
#include "encoders/projector/windowed_picture.h"

namespace mtmd::encoders {
namespace {

constexpr int kWindow = 112;  ///< pixels per side; the file does not say

class Exaone45 final : public WindowedPicture {
 public:
  Exaone45(const gguf::File& file, Device& device)
      : WindowedPicture("exaone4_5", file, device, {"<vision>", "</vision>"}) {
    require_rotatable_heads();
    read_merge("clip.vision.spatial_merge_size");
    read_full_pattern();
    set_window(kWindow);
    pixels_ = read_pixel_range();
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size, 2);
    VitSpec spec = vit_spec();
    spec.swapped_ffn = true, spec.norm = Norm::rms, spec.gated = true;
    spec.n_kv_heads = require_in(metadata_, "clip.vision.attention.head_count_kv", 1, spec.n_heads);
    if (spec.n_heads % spec.n_kv_heads != 0)
      bad_model(
          fmt::format("clip.vision.attention.head_count {} is no multiple of clip.vision.attention.head_count_kv {}",
                      spec.n_heads, spec.n_kv_heads));
    vit_ = Vit(weights_, device, spec);
    load_bridge();
  }

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    return dynamic_canvas(size, align(), pixels_, limits, image::Filter::bicubic);
  }

  Presets trained_prompts() const override {
    Presets presets = WindowedPicture::trained_prompts();
    presets.stop = {"[|endofturn|]"};
    return presets;
  }

 private:
  PixelRange pixels_;
};

}  // namespace

extern const ProjectorType projector_exaone4_5 = {
    "exaone4_5", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Exaone45>(file, device);
    }};

}  // namespace mtmd::encoders
