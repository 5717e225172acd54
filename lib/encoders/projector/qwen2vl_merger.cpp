// Qwen2-VL (arXiv:2409.12191): pictures of any size and shape, 2-D rotary positions, 2 x 2 patches per token.
#include "encoders/projector/registry.h"
#include "encoders/projector/whole_picture.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

class Qwen2Vl final : public WholePicture {
 public:
  Qwen2Vl(const gguf::File& file, Device& device)
      : WholePicture("qwen2vl_merger", file, device, {"<|vision_start|>", "<|vision_end|>"}) {
    require_rotatable_heads();
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size, 2);
    VitSpec spec = vit_spec();
    spec.swapped_ffn = true;
    vit_ = Vit(weights_, device, spec);
    merger_ = TwoLayer(weights_, "mm.0", "mm.2", cell_width(), Activation::gelu_tanh);
    text_width_ = merger_.out();
  }

  PositionKind positions() const noexcept override { return PositionKind::grid; }
  bool merges_frames() const noexcept override { return true; }

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    return dynamic_canvas(size, align(), token_range(limits, {8, 4096}), image::Filter::bilinear);
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Patches p = block_patches(inputs);
    const Tensor x = embed_in_order(patches_, inputs, p.order, {}, ws);
    run_rotated(ws, x, p);
    merger_.run(device_, ws, y, cells(x));
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt = "Read all the text in the image.";
    presets.describe_prompt = "Describe this image.";
    presets.gap = "";
    return presets;
  }

 private:
  TwoLayer merger_;
};

}  // namespace

extern const ProjectorType projector_qwen2vl_merger = {
    "qwen2vl_merger", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Qwen2Vl>(file, device);
    }};

}  // namespace mtmd::encoders
