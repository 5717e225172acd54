// Gemma 3 (arXiv:2503.19786): SigLIP on a fixed square, average pooling, one linear map; the tokens of a picture see
// each other.
#include <fmt/core.h>

#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"

namespace mtmd::encoders {
namespace {

class Gemma3 final : public VisionProjector {
 public:
  Gemma3(const gguf::File& file, Device& device) : VisionProjector("gemma3", file, device) {
    const std::int64_t d = hparams_.n_embd;
    side_ = hparams_.image_size / hparams_.patch_size;
    pool_ = in_range_or(metadata_, "clip.vision.projector.scale_factor", 1, side_, 4);
    if (side_ % pool_ != 0) {
      bad_model(fmt::format("{} x {} patches cannot be pooled by clip.vision.projector.scale_factor {}", side_, side_,
                            pool_));
    }
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    const std::int64_t n = std::int64_t{side_} * side_;
    positions_ = Table(device, weights_.values("v.position_embd.weight", {n, d}), n, d);
    VitSpec spec = vit_spec();
    spec.swapped_ffn = true;
    vit_ = Vit(weights_, device, spec);
    norm_ = weights_.vector("mm.soft_emb_norm.weight", d);
    load_projection(device);
  }

  bool non_causal() const noexcept override { return true; }

 protected:
  Plan plan(image::Size, const ImageLimits&) const override {
    Plan plan;
    plan.add_text("<start_of_image>");
    plan.add_whole({{hparams_.image_size, hparams_.image_size}, image::Filter::bilinear, image::Padding::ceil});
    plan.add_text("<end_of_image>");
    return plan;
  }

  Grid grid(image::Size) const override { return {side_ / pool_, side_ / pool_}; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const std::int64_t n = std::int64_t{side_} * side_, n_tokens = y.rows / n_inputs;
    const Tensor x = ws.tensor(n_inputs * n, hparams_.n_embd);
    embed_patches(x, patches_, inputs, ws);
    for (std::int64_t i = 0; i < n_inputs; ++i)
      device_.add(x.rows_at(i * n, n), x.rows_at(i * n, n), positions_.tensor());
    const std::vector<KeyRange> ranges = own_picture(n_inputs, n);
    vit_.run(ws, x, {ranges});
    const Tensor pooled = ws.tensor(y.rows, x.cols);
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      device_.average_pool(pooled.rows_at(i * n_tokens, n_tokens), x.rows_at(i * n, n), side_, side_, pool_);
    }
    device_.rms_norm(pooled, pooled, norm_, hparams_.eps);
    device_.matmul(y, projection_.weight(), pooled);
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt = "Transcribe all the text in this image exactly as written.";
    presets.describe_prompt = "Describe this image in detail.";
    return presets;
  }

 private:
  /// The file holds [n_embd, text_width]; products want [text_width, n_embd].
  void load_projection(Device& device) {
    constexpr std::string_view kName = "mm.input_projection.weight";
    const gguf::TensorInfo* info = weights_.find(kName);
    if (info == nullptr || info->shape.size() != 2) bad_model(fmt::format("no matrix '{}'", kName));
    const std::int64_t d = hparams_.n_embd, out = info->shape[1];
    text_width_ = static_cast<int>(out);
    const Vector stored = weights_.values(kName, {d, out});
    std::vector<float> transposed(stored.size());
    for (std::int64_t i = 0; i < d; ++i) {
      for (std::int64_t j = 0; j < out; ++j) transposed[j * d + i] = stored[i * out + j];
    }
    projection_ = Table(device, transposed, out, d);
  }

  int side_ = 0, pool_ = 4;  ///< patches per side; pooled by pool_ x pool_
  PatchEmbedding patches_;
  Table positions_, projection_;  // [side * side, n_embd], [text_width, n_embd]
  Vit vit_;
  Vector norm_;  // [n_embd]
};

}  // namespace

extern const ProjectorType projector_gemma3 = {
    "gemma3", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Gemma3>(file, device);
    }};

}  // namespace mtmd::encoders
