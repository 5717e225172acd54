// CogVLM (arXiv:2311.03079): EVA-CLIP with norms behind attention and feed-forward net, a gated perceptron, learned
// rows around each picture.
#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"

namespace mtmd::encoders {
namespace {

constexpr image::Color kMeanColor = {122, 116, 104};
constexpr float kEps = 1e-5f;  ///< of the norm behind the first projection

class CogVlm final : public VisionProjector {
 public:
  CogVlm(const gguf::File& file, Device& device) : VisionProjector("cogvlm", file, device) {
    const std::int64_t d = hparams_.n_embd;
    side_ = hparams_.image_size / hparams_.patch_size;
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    const std::int64_t rows = std::int64_t{side_} * side_ + 1;
    positions_ = Table(device, weights_.values("v.position_embd.weight", {rows, d}), rows, d);
    class_token_ = weights_.vector("v.class_embd", d);
    VitSpec spec = vit_spec();
    spec.norm_after = true;
    vit_ = Vit(weights_, device, spec);
    const std::int64_t t = matrix_rows(weights_, "mm.model.fc.weight");
    text_width_ = static_cast<int>(t);
    fc_ = weights_.matrix("mm.model.fc.weight", t, d);
    norm_ = weights_.vector("mm.post_fc_norm.weight", t), norm_bias_ = weights_.vector_if("mm.post_fc_norm.bias", t);
    const std::int64_t hidden = matrix_rows(weights_, "mm.up.weight");
    up_ = weights_.matrix("mm.up.weight", hidden, t), gate_ = weights_.matrix("mm.gate.weight", hidden, t);
    down_ = weights_.matrix("mm.down.weight", t, hidden);
    begin_ = weights_.matrix("v.boi", 1, t), end_ = weights_.matrix("v.eoi", 1, t);
    canvases_ = read_canvases();
  }

 protected:
  Plan plan(image::Size size, const ImageLimits&) const override {
    Plan plan;
    if (canvases_.empty()) {
      const image::Size square{hparams_.image_size, hparams_.image_size};
      plan.add_whole({square, image::Filter::bicubic, image::Padding::ceil, kMeanColor});
    } else {
      plan.add_tiles_and_overview(size, hparams_.image_size, canvases_);
    }
    return plan;
  }

  Grid grid(image::Size) const override { return {side_, side_}; }

  /// The rows that begin and end a picture.
  int extra_tokens(Grid) const override { return 2; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const std::int64_t n = std::int64_t{side_} * side_, rows = n + 1, n_tokens = n + 2;
    const Tensor x = embed_with_class(patches_, class_token_, positions_, inputs, ws);
    const std::vector<KeyRange> ranges = own_picture(n_inputs, rows);
    vit_.run(ws, x, {ranges});
    const Tensor projected = ws.tensor(n, y.cols), hidden = ws.tensor(n, up_.rows);
    const std::int32_t first = 0;
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Tensor own = y.rows_at(i * n_tokens, n_tokens);
      device_.matmul(projected, fc_, x.rows_at(i * rows, n));  // the class token is left out
      device_.layer_norm(projected, projected, norm_, norm_bias_, kEps);
      device_.activate(projected, projected, Activation::gelu_tanh);
      device_.get_rows(own.rows_at(0, 1), begin_, {&first, 1});
      device_.feed_forward(own.rows_at(1, n), {gate_, up_, down_, Activation::silu}, projected, hidden);
      device_.get_rows(own.rows_at(n + 1, 1), end_, {&first, 1});
    }
  }

  Presets trained_prompts() const override {
    Presets presets = VisionProjector::trained_prompts();
    presets.describe_prompt = "Describe this image";  // as in the authors' examples
    return presets;
  }

 private:
  int side_ = 0;  ///< patches per side
  PatchEmbedding patches_;
  Table positions_;     // [side * side + 1, n_embd]
  Vector class_token_;  // [n_embd]
  Vit vit_;
  Weight fc_;                // [text_width, n_embd]
  Vector norm_, norm_bias_;  // [text_width]
  Weight up_, gate_, down_;  // [hidden, text_width], [hidden, text_width], [text_width, hidden]
  Weight begin_, end_;       // [1, text_width]
  std::vector<image::Size> canvases_;
};

}  // namespace

extern const ProjectorType projector_cogvlm = {
    "cogvlm", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<CogVlm>(file, device);
    }};

}  // namespace mtmd::encoders
