// Idefics3 and SmolVLM (arXiv:2408.12637, arXiv:2504.05299): SigLIP on square tiles and an overview, s x s patches per
// token.
#include <fmt/core.h>

#include <algorithm>

#include "encoders/image/sizing.h"
#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"

namespace mtmd::encoders {
namespace {

constexpr std::string_view kFake = "<fake_token_around_image>";
constexpr int kMostTiles = 64, kLongest = 4096;  ///< per side: tiles, pixels

class Idefics3 final : public VisionProjector {
 public:
  Idefics3(const gguf::File& file, Device& device) : VisionProjector("idefics3", file, device) {
    const std::int64_t d = hparams_.n_embd;
    side_ = hparams_.image_size / hparams_.patch_size;
    merge_ = require_in(metadata_, "clip.vision.projector.scale_factor", 1, side_);
    // SmolVLM's own ratio, for files that do not say.
    longest_ = in_range_or(metadata_, "clip.vision.preproc_image_size", 1, kLongest,
                           std::min(4 * hparams_.image_size, kLongest));
    if (longest_ / hparams_.image_size > kMostTiles) {
      bad_model(
          fmt::format("clip.vision.preproc_image_size {} makes more than {} tiles of clip.vision.image_size {} a side",
                      longest_, kMostTiles, hparams_.image_size));
    }
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    const std::int64_t n = std::int64_t{side_} * side_;
    positions_ = Table(device, weights_.values("v.position_embd.weight", {n, d}), n, d);
    VitSpec spec = vit_spec();
    spec.swapped_ffn = true;
    vit_ = Vit(weights_, device, spec);
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.model.fc.weight"));
    fc_ = weights_.matrix("mm.model.fc.weight", text_width_, d * merge_ * merge_);
  }

 protected:
  Plan plan(image::Size size, const ImageLimits&) const override {
    const int tile = hparams_.image_size;
    const image::Size refined = image::smart_resize(size, {tile, 0, 0, longest_});
    Plan plan;
    int view = plan.add_tiles({refined, image::Filter::bicubic, image::Padding::ceil}, tile);
    const int columns = refined.width / tile, rows = refined.height / tile;
    for (int r = 1; r <= rows; ++r) {
      for (int c = 1; c <= columns; ++c) {
        plan.add_text(fmt::format("{}<row_{}_col_{}>", kFake, r, c));
        plan.add_input(view++);
      }
      if (r < rows) plan.add_text("\n");
    }
    plan.add_text(fmt::format("\n\n{}<global-img>", kFake));
    plan.add_whole({{tile, tile}, image::Filter::bilinear, image::Padding::none});
    plan.add_text(std::string(kFake));
    return plan;
  }

  Grid grid(image::Size) const override {
    const int cells = (side_ + merge_ - 1) / merge_;
    return {cells, cells};
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const std::int64_t n = std::int64_t{side_} * side_, n_tokens = y.rows / n_inputs;
    const Tensor x = ws.tensor(n_inputs * n, hparams_.n_embd);
    embed_patches(x, patches_, inputs, ws);
    for (std::int64_t i = 0; i < n_inputs; ++i)
      device_.add(x.rows_at(i * n, n), x.rows_at(i * n, n), positions_.tensor());
    const std::vector<KeyRange> ranges = own_picture(n_inputs, n);
    vit_.run(ws, x, {ranges});
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Workspace::Scope scope(ws);
      const Tensor merged = merge_cells(device_, ws, x.rows_at(i * n, n), side_, side_, merge_);
      device_.matmul(y.rows_at(i * n_tokens, n_tokens), fc_, merged);
    }
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt = "Extract all the text from this image.";
    presets.describe_prompt = "Can you describe this image?";
    return presets;
  }

 private:
  int side_ = 0, merge_ = 1,
      longest_ = 0;  ///< patches per side; patches per side of a token; longest side of the picture
  PatchEmbedding patches_;
  Table positions_;  // [side * side, n_embd]
  Vit vit_;
  Weight fc_;  // [text_width, merge * merge * n_embd]
};

}  // namespace

extern const ProjectorType projector_idefics3 = {
    "idefics3", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Idefics3>(file, device);
    }};

}  // namespace mtmd::encoders
