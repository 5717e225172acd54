// MiniMax M3: rotary positions by row and column in two parts of each head, a net per patch and one per token.
#include "encoders/projector/registry.h"
#include "encoders/projector/whole_picture.h"
#include "encoders/trunk/positions.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

constexpr float kRopeBase = 10000.0f;

class MiniMaxM3 final : public WholePicture {
 public:
  MiniMaxM3(const gguf::File& file, Device& device)
      : WholePicture("minimax_m3", file, device, {"]<]start of image[>[", "]<]end of image[>["}) {
    read_merge("clip.vision.spatial_merge_size");
    part_ = 2 * (2 * (head_dim() / 2) / 3 / 2);
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size, 2);
    VitSpec spec = vit_spec();
    spec.activation = Activation::gelu_erf;
    vit_ = Vit(weights_, device, spec);
    per_patch_ = TwoLayer(weights_, "mm.1", "mm.2", hparams_.n_embd, Activation::gelu_erf);
    per_token_ = TwoLayer(weights_, "mm.merger.fc1", "mm.merger.fc2", std::int64_t{per_patch_.out()} * merge_ * merge_,
                          Activation::gelu_erf);
    text_width_ = per_token_.out();
  }

  PositionKind positions() const noexcept override { return PositionKind::row; }

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    Canvas canvas = dynamic_canvas(size, align(), token_range(limits, {8, 576}), image::Filter::bicubic_pillow);
    canvas.padding = image::Padding::none;
    return canvas;
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Patches p = block_patches(inputs);
    const Tensor x = embed_in_order(patches_, inputs, p.order, {}, ws);
    const RopeTable rows = rope_axis(part_, kRopeBase, Axis::row, p.positions),
                    columns = rope_axis(part_, kRopeBase, Axis::column, p.positions);
    Vit::Pass pass;
    pass.rotate = [&](Tensor heads) {  // a head is time, row, column and the rest; time and the rest stay
      rotate_part(device_, heads, head_dim(), part_, rows, RopePairs::halves);
      rotate_part(device_, heads, head_dim(), 2 * part_, columns, RopePairs::halves);
    };
    run_vit(ws, x, p, pass);
    const Tensor h = ws.tensor(x.rows, per_patch_.out());
    per_patch_.run(device_, ws, h, x);
    per_token_.run(device_, ws, y, cells(h));
  }

 private:
  int part_ = 0;  ///< rotated values per axis and head
  TwoLayer per_patch_, per_token_;
};

}  // namespace

extern const ProjectorType projector_minimax_m3 = {
    "minimax_m3", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<MiniMaxM3>(file, device);
    }};

}  // namespace mtmd::encoders
