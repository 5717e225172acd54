// HunyuanOCR (arXiv:2511.19575): a ViT with learned positions, convolutions per token, a row of its own behind each row
// of tokens and around the picture.
#include "encoders/projector/registry.h"
#include "encoders/projector/whole_picture.h"
#include "encoders/trunk/conv.h"
#include "encoders/trunk/positions.h"

namespace mtmd::encoders {
namespace {

// "hy_place_holder_no_100" and 101, written with fullwidth bars and lower one eighth blocks.
constexpr const char* kBegin = "<\uff5chy_place\u2581holder\u2581no\u2581100\uff5c>";
constexpr const char* kEnd = "<\uff5chy_place\u2581holder\u2581no\u2581101\uff5c>";

class HunyuanVl final : public WholePicture {
 public:
  HunyuanVl(const gguf::File& file, Device& device) : WholePicture("hunyuanvl", file, device, {kBegin, kEnd}) {
    read_merge("clip.vision.spatial_merge_size");
    pixels_ = read_pixel_range();
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    table_ = PositionTable(weights_, hparams_.n_embd, TableResize::tenth_more);
    vit_ = Vit(weights_, device, vit_spec());
    pre_norm_ = weights_.vector("mm.pre_norm.weight", hparams_.n_embd);
    first_ = Conv2d(weights_, device, "mm.0", {.in = hparams_.n_embd, .kernel = merge_, .stride = merge_});
    second_ = Conv2d(weights_, device, "mm.2", {.in = first_.out()});
    row_end_ = weights_.vector("v.image_newline", second_.out());
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.model.fc.weight"));
    fc_ = weights_.matrix("mm.model.fc.weight", text_width_, second_.out());
    fc_bias_ = weights_.vector_if("mm.model.fc.bias", text_width_);
    begin_ = weights_.vector("mm.image_begin", text_width_), end_ = weights_.vector("mm.image_end", text_width_);
    post_norm_ = weights_.vector("mm.post_norm.weight", text_width_);
  }

  PositionKind positions() const noexcept override { return PositionKind::reading; }

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    Canvas canvas = dynamic_canvas(size, align(), pixels_, limits, image::Filter::bicubic_pillow);
    canvas.padding = image::Padding::none;
    return canvas;
  }

  /// A row end per row, begin and end.
  int extra_tokens(Grid g) const override { return g.rows + 2; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Patches p = block_patches(inputs);
    const Tensor x = embed_in_order(patches_, inputs, p.order, table_.resized(p.patches.columns, p.patches.rows), ws);
    run_vit(ws, x, p);
    device_.rms_norm(x, x, pre_norm_, hparams_.eps);
    const std::int64_t n_cells = p.n / (merge_ * merge_), n_tokens = y.rows / p.n_inputs;
    const Tensor h = ws.tensor(p.n_inputs * n_cells, first_.out()), c = ws.tensor(h.rows, second_.out());
    // Cells in block order are a picture that is one cell wide.
    first_.run(ws, h, x, merge_, static_cast<int>(x.rows / merge_));
    device_.activate(h, h, Activation::gelu_tanh);
    second_.run(ws, c, h, 1, static_cast<int>(h.rows));
    const Tensor rows = ws.tensor(n_tokens - 2, c.cols);
    for (std::int64_t i = 0; i < p.n_inputs; ++i) {
      const Tensor own = y.rows_at(i * n_tokens, n_tokens);
      end_rows(device_, rows, c.rows_at(i * n_cells, n_cells), p.cells.columns, row_end_);
      device_.matmul(own.rows_at(1, n_tokens - 2), fc_, rows, {.bias = fc_bias_});
      place_row(device_, own.rows_at(0, 1), begin_);
      place_row(device_, own.rows_at(n_tokens - 1, 1), end_);
    }
    device_.rms_norm(y, y, post_norm_, hparams_.eps);
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt = "Extract the text in the image.";
    presets.describe_prompt = "Describe this image in detail.";
    presets.gap = "";
    return presets;
  }

 private:
  PixelRange pixels_;
  PositionTable table_;
  Vector pre_norm_;        // [n_embd]
  Conv2d first_, second_;  // merge x merge, 1 x 1
  Vector row_end_;         // [second out]
  Weight fc_;              // [text_width, second out]
  Vector fc_bias_;         // [text_width], optional
  Vector begin_, end_;     // [text_width]
  Vector post_norm_;       // [text_width]
};

}  // namespace

extern const ProjectorType projector_hunyuanvl = {
    "hunyuanvl", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<HunyuanVl>(file, device);
    }};

}  // namespace mtmd::encoders
