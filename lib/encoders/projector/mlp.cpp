// LLaVA 1.5 and 1.6 (arXiv:2310.03744): CLIP's last but one layer through a two-layer perceptron; 1.6 adds tiles on one
// of several canvases ("any resolution").
#include <fmt/core.h>

#include "encoders/image/sizing.h"
#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"

namespace mtmd::encoders {
namespace {

constexpr image::Color kMeanColor = {122, 116, 104};

class Mlp final : public VisionProjector {
 public:
  Mlp(const gguf::File& file, Device& device) : VisionProjector("mlp", file, device) {
    const std::int64_t d = hparams_.n_embd;
    side_ = hparams_.image_size / hparams_.patch_size;
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    const std::int64_t rows = std::int64_t{side_} * side_ + 1;
    positions_ = Table(device, weights_.values("v.position_embd.weight", {rows, d}), rows, d);
    class_token_ = weights_.vector("v.class_embd", d);
    VitSpec spec = vit_spec();
    spec.swapped_ffn = true;
    spec.n_skipped = 1;
    vit_ = Vit(weights_, device, spec);
    const std::int64_t hidden = matrix_rows(weights_, "mm.0.weight");
    fc1_ = weights_.matrix("mm.0.weight", hidden, d), fc1_bias_ = weights_.vector_if("mm.0.bias", hidden);
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.2.weight"));
    fc2_ = weights_.matrix("mm.2.weight", text_width_, hidden),
    fc2_bias_ = weights_.vector_if("mm.2.bias", text_width_);
    read_canvases();
  }

 protected:
  Plan plan(image::Size size, const ImageLimits&) const override {
    const image::Size square{hparams_.image_size, hparams_.image_size};
    Plan plan;
    if (canvases_.empty()) {
      plan.add_whole({square, image::Filter::bicubic, image::Padding::ceil, kMeanColor});
      return plan;
    }
    if (size.width > square.width || size.height > square.height) {
      const image::Size canvas = image::best_canvas(size, canvases_);
      const int first = plan.add_tiles({canvas, image::Filter::bicubic, image::Padding::ceil}, square.width);
      for (int view = first; view < static_cast<int>(plan.views.size()); ++view) plan.add_input(view);
    }
    plan.add_whole({square, image::Filter::bilinear, image::Padding::none});
    return plan;
  }

  Grid grid(image::Size) const override { return {side_, side_}; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const std::int64_t n = std::int64_t{side_} * side_, rows = n + 1;
    const Tensor x = ws.tensor(n_inputs * rows, hparams_.n_embd);
    const std::int32_t first = 0;
    const Weight class_token{DType::F32, reinterpret_cast<const std::byte*>(class_token_.data()), 1, hparams_.n_embd};
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Tensor own = x.rows_at(i * rows, rows);
      embed_patches(own.rows_at(0, n), patches_, inputs.subspan(static_cast<std::size_t>(i), 1), ws);
      device_.get_rows(own.rows_at(n, 1), class_token, {&first, 1});  // behind the patches, as the reference has it
      device_.add(own, own, positions_.tensor());
    }
    const std::vector<KeyRange> ranges = own_picture(n_inputs, rows);
    vit_.run(ws, x, {ranges});
    const Tensor hidden = ws.tensor(n, fc1_.rows);
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      // Patch 0 is left out and the class token comes last: the models' training saw the class token first.
      const Tensor kept = x.rows_at(i * rows + 1, n);
      device_.matmul(hidden, fc1_, kept, {.bias = fc1_bias_, .activation = Activation::gelu_tanh});
      device_.matmul(y.rows_at(i * n, n), fc2_, hidden, {.bias = fc2_bias_});
    }
  }

 private:
  void read_canvases() {
    constexpr const char* kKey = "clip.vision.image_grid_pinpoints";
    const auto pinpoints = metadata_.get<std::vector<std::int32_t>>(kKey);
    if (!pinpoints) return;
    const int tile = hparams_.image_size, most = 64;
    if (pinpoints->size() % 2 != 0) bad_model(fmt::format("{} has {} values, expected pairs", kKey, pinpoints->size()));
    for (std::size_t i = 0; i < pinpoints->size(); i += 2) {
      const image::Size canvas{(*pinpoints)[i], (*pinpoints)[i + 1]};
      const auto fits = [&](int side) {
        return side >= tile && side % tile == 0 && side / tile <= most && side <= 1 << 13;
      };
      if (!fits(canvas.width) || !fits(canvas.height) || canvas.width / tile * (canvas.height / tile) > most) {
        bad_model(fmt::format("{} holds {} x {}, expected multiples of clip.vision.image_size {} and at most {} tiles",
                              kKey, canvas.width, canvas.height, tile, most));
      }
      canvases_.push_back(canvas);
    }
  }

  int side_ = 0;  ///< patches per side
  PatchEmbedding patches_;
  Table positions_;     // [side * side + 1, n_embd]
  Vector class_token_;  // [n_embd]
  Vit vit_;
  Weight fc1_, fc2_;  // [hidden, n_embd], [text_width, hidden]
  Vector fc1_bias_, fc2_bias_;
  std::vector<image::Size> canvases_;
};

}  // namespace

extern const ProjectorType projector_mlp = {"mlp",
                                            [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
                                              return std::make_unique<Mlp>(file, device);
                                            }};

}  // namespace mtmd::encoders
