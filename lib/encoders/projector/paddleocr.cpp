// PaddleOCR-VL (arXiv:2510.14528): NaViT-style encoder with learned and rotary positions, 2 x 2 patches per token.
#include "encoders/projector/registry.h"
#include "encoders/projector/whole_picture.h"
#include "encoders/trunk/joined_patches.h"
#include "encoders/trunk/positions.h"

namespace mtmd::encoders {
namespace {

class PaddleOcr final : public WholePicture {
 public:
  PaddleOcr(const gguf::File& file, Device& device)
      : WholePicture("paddleocr", file, device, {"<|IMAGE_START|>", "<|IMAGE_END|>"}) {
    require_rotatable_heads();
    pixels_ = read_pixel_range();
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    table_ = PositionTable(weights_, hparams_.n_embd, TableResize::antialias);
    vit_ = Vit(weights_, device, vit_spec());
    bridge_ = JoinedPatches(weights_, hparams_.n_embd, merge_, 1e-5f, "mm.1", "mm.2", hparams_.activation);
    text_width_ = bridge_.out();
  }

  PositionKind positions() const noexcept override { return PositionKind::grid; }

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    return dynamic_canvas(size, align(), pixels_, limits, image::Filter::bilinear);
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Patches p = block_patches(inputs);
    const Tensor x = embed_in_order(patches_, inputs, p.order, table_.resized(p.patches.columns, p.patches.rows), ws);
    run_rotated(ws, x, p);
    bridge_.run(device_, ws, y, x);
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt = "OCR:";
    presets.describe_prompt = "Describe this image in detail.";
    presets.gap = "";
    return presets;
  }

 private:
  PixelRange pixels_;
  PositionTable table_;
  JoinedPatches bridge_;
};

}  // namespace

extern const ProjectorType projector_paddleocr = {
    "paddleocr", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<PaddleOcr>(file, device);
    }};

}  // namespace mtmd::encoders
