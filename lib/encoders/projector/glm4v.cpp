// GLM-4.1V, GLM-4.5V (arXiv:2507.01006) and GLM-OCR: norms before learned positions, a convolution per token, a gated
// net.
#include <algorithm>

#include "encoders/projector/registry.h"
#include "encoders/projector/whole_picture.h"
#include "encoders/trunk/conv.h"
#include "encoders/trunk/positions.h"

namespace mtmd::encoders {
namespace {

constexpr float kPostNormEps = 1e-5f;

class Glm4v final : public WholePicture {
 public:
  Glm4v(const gguf::File& file, Device& device)
      : WholePicture("glm4v", file, device, {"<|begin_of_image|>", "<|end_of_image|>"}) {
    require_rotatable_heads();
    read_merge("clip.vision.spatial_merge_size");
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size, 2);
    patch_norm_ = weights_.vector_if("v.norm_embd.weight", hparams_.n_embd);
    has_table_ = weights_.has("v.position_embd.weight");
    if (has_table_) table_ = PositionTable(weights_, hparams_.n_embd, TableResize::bicubic);
    VitSpec spec = vit_spec();
    spec.norm = Norm::rms, spec.gated = true, spec.activation = Activation::silu;
    vit_ = Vit(weights_, device, spec);
    merger_ = Conv2d(weights_, device, "mm.patch_merger", {.in = hparams_.n_embd, .kernel = merge_, .stride = merge_});
    load_bridge();
  }

  PositionKind positions() const noexcept override { return PositionKind::grid; }

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    return dynamic_canvas(size, align(), token_range(limits, {8, 4096}), image::Filter::bilinear);
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Patches p = block_patches(inputs);
    const Tensor x = embed_in_order(patches_, inputs, p.order, {}, ws);
    if (!patch_norm_.empty()) device_.rms_norm(x, x, patch_norm_, hparams_.eps);
    if (has_table_) add_positions(ws, x, p);
    run_rotated(ws, x, p);
    const Tensor merged = ws.tensor(y.rows, merger_.out()), h = ws.tensor(y.rows, fc_.rows),
                 f = ws.tensor(y.rows, up_.rows);
    // Cells in block order are a picture that is one cell wide.
    merger_.run(ws, merged, x, merge_, static_cast<int>(x.rows / merge_));
    device_.matmul(h, fc_, merged);
    device_.layer_norm(h, h, norm_, norm_bias_, kPostNormEps);
    device_.activate(h, h, Activation::gelu_erf);
    device_.feed_forward(y, {gate_, up_, down_, Activation::silu}, h, f);
  }

  Presets trained_prompts() const override {
    Presets presets = WholePicture::trained_prompts();
    if (!has_table_) presets.ocr_prompt = "Text Recognition:";  // GLM-OCR is the one without a table
    presets.gap = "";
    presets.stop = {"<|user|>", "<|observation|>"};
    return presets;
  }

 private:
  void load_bridge() {
    const std::int64_t t = matrix_rows(weights_, "mm.model.fc.weight"), ff = matrix_rows(weights_, "mm.up.weight");
    fc_ = weights_.matrix("mm.model.fc.weight", t, merger_.out());
    norm_ = weights_.vector("mm.post_norm.weight", t), norm_bias_ = weights_.vector_if("mm.post_norm.bias", t);
    up_ = weights_.matrix("mm.up.weight", ff, t), gate_ = weights_.matrix("mm.gate.weight", ff, t);
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.down.weight"));
    down_ = weights_.matrix("mm.down.weight", text_width_, ff);
  }

  void add_positions(Workspace& ws, Tensor x, const Patches& p) const {
    const Workspace::Scope scope(ws);
    const std::vector<float> table = table_.resized(p.patches.columns, p.patches.rows);
    const Tensor raster = ws.tensor(p.n, x.cols), ordered = ws.tensor(p.n, x.cols);
    std::copy(table.begin(), table.end(), raster.data);
    gather(device_, ordered, raster, p.order);
    for (std::int64_t i = 0; i < p.n_inputs; ++i)
      device_.add(x.rows_at(i * p.n, p.n), x.rows_at(i * p.n, p.n), ordered);
  }

  bool has_table_ = false;
  PositionTable table_;
  Vector patch_norm_;        // [n_embd], optional
  Conv2d merger_;            // n_embd -> text width, merge x merge
  Weight fc_;                // [t, merger out]
  Vector norm_, norm_bias_;  // [t]
  Weight up_, gate_, down_;  // [ff, t], [ff, t], [text width, ff]
};

}  // namespace

extern const ProjectorType projector_glm4v = {"glm4v",
                                              [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
                                                return std::make_unique<Glm4v>(file, device);
                                              }};

}  // namespace mtmd::encoders
