// dots.ocr (arXiv:2512.02498): NaViT with rotary positions only, RMS norms and gated SiLU, 2 x 2 patches per token.
#include "encoders/projector/registry.h"
#include "encoders/projector/whole_picture.h"
#include "encoders/trunk/joined_patches.h"

namespace mtmd::encoders {
namespace {

class DotsOcr final : public WholePicture {
 public:
  DotsOcr(const gguf::File& file, Device& device)
      : WholePicture("dots_ocr", file, device, {"<|img|>", "<|endofimg|>"}) {
    require_rotatable_heads();
    read_merge("clip.vision.projector.scale_factor");
    pixels_ = read_pixel_range();
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    VitSpec spec = vit_spec();
    spec.norm = Norm::rms, spec.gated = true, spec.activation = Activation::silu;
    vit_ = Vit(weights_, device, spec);
    post_norm_ = weights_.vector_if("mm.post_norm.weight", hparams_.n_embd);
    bridge_ = JoinedPatches(weights_, hparams_.n_embd, merge_, 1e-6f, "mm.0", "mm.2", Activation::gelu_erf);
    text_width_ = bridge_.out();
  }

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    return dynamic_canvas(size, align(), pixels_, limits, image::Filter::bicubic);
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Patches p = block_patches(inputs);
    const Tensor x = embed_in_order(patches_, inputs, p.order, {}, ws);
    run_rotated(ws, x, p);
    if (!post_norm_.empty()) device_.rms_norm(x, x, post_norm_, hparams_.eps);
    bridge_.run(device_, ws, y, x);
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt = "Extract the text content from this image.";
    presets.describe_prompt = "Describe this image in detail.";
    presets.gap = "";
    presets.stop = {"<|endofassistant|>"};
    return presets;
  }

 private:
  PixelRange pixels_;
  Vector post_norm_;  // [n_embd], optional
  JoinedPatches bridge_;
};

}  // namespace

extern const ProjectorType projector_dots_ocr = {
    "dots_ocr", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<DotsOcr>(file, device);
    }};

}  // namespace mtmd::encoders
