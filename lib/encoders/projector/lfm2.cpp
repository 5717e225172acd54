// LFM2-VL (arXiv:2511.23404): SigLIP 2 on pictures of any shape; large ones as square tiles and an overview, s x s
// patches per token.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "encoders/image/sizing.h"
#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/positions.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

constexpr TokenRange kTokens = {64, 256};  ///< of a picture in one piece
constexpr int kTile = 512;                 ///< pixels per side
constexpr int kFewestTiles = 2, kMostTiles = 10;
constexpr double kTolerance = 2.0;  ///< times the most pixels of one piece before a picture is cut
constexpr float kEps = 1e-5f;       ///< of the norm of merged patches

class Lfm2 final : public VisionProjector {
 public:
  Lfm2(const gguf::File& file, Device& device) : VisionProjector("lfm2", file, device) {
    const std::int64_t d = hparams_.n_embd;
    merge_ = require_in(metadata_, "clip.vision.projector.scale_factor", 1, 16);
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    positions_ = PositionTable(weights_, d, TableResize::antialias);
    vit_ = Vit(weights_, device, vit_spec());
    const std::int64_t merged = d * merge_ * merge_;
    norm_ = weights_.vector_if("mm.input_norm.weight", merged);
    norm_bias_ = weights_.vector_if("mm.input_norm.bias", merged);
    mlp_ = TwoLayer(weights_, "mm.1", "mm.2", merged, Activation::gelu_tanh);
    text_width_ = mlp_.out();
  }

 protected:
  bool follows_limits() const noexcept override { return true; }

  Plan plan(image::Size size, const ImageLimits& limits) const override {
    const TokenRange tokens = token_range(limits, kTokens);
    Plan plan;
    plan.add_text("<|image_start|>");
    if (const Grid tiles = tile_grid(size, limits); tiles.columns > 0) {
      int view = plan.add_tiles(
          {{tiles.columns * kTile, tiles.rows * kTile}, image::Filter::bilinear, image::Padding::ceil}, kTile);
      for (int r = 1; r <= tiles.rows; ++r) {
        for (int c = 1; c <= tiles.columns; ++c) {
          plan.add_text(fmt::format("<|img_row_{}_col_{}|>", r, c));
          plan.add_input(view++);
        }
      }
      plan.add_text("<|img_thumbnail|>");
      plan.add_whole(stretched(size, overview_range(limits)));
    } else {
      plan.add_whole(stretched(size, tokens));
    }
    plan.add_text("<|image_end|>");
    return plan;
  }

  Grid grid(image::Size input) const override {
    const Grid g = patch_grid(input);
    return {(g.columns + merge_ - 1) / merge_, (g.rows + merge_ - 1) / merge_};
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const image::Planes& shape = inputs.front()->frames.front();
    const Grid g = patch_grid({shape.width, shape.height});
    const std::int64_t n = std::int64_t{g.columns} * g.rows, n_tokens = y.rows / n_inputs;
    const Tensor x = embed_in_order(patches_, inputs, {}, positions_.resized(g.columns, g.rows), ws);
    const std::vector<KeyRange> ranges = own_picture(n_inputs, n);
    vit_.run(ws, x, {ranges});
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Workspace::Scope scope(ws);
      const Tensor merged = merge_cells(device_, ws, x.rows_at(i * n, n), g.columns, g.rows, merge_);
      if (!norm_.empty()) device_.layer_norm(merged, merged, norm_, norm_bias_, kEps);
      mlp_.run(device_, ws, y.rows_at(i * n_tokens, n_tokens), merged);
    }
  }

  Presets trained_prompts() const override {
    Presets presets = VisionProjector::trained_prompts();
    presets.describe_prompt = "What is in this image?";  // as in the authors' examples
    return presets;
  }

 private:
  int align() const noexcept { return hparams_.patch_size * merge_; }

  Canvas stretched(image::Size size, TokenRange tokens) const {
    Canvas canvas = dynamic_canvas(size, align(), tokens, image::Filter::bilinear);
    canvas.padding = image::Padding::none;
    return canvas;
  }

  /// Beside tiles the overview keeps its own range; only a larger minimum changes it.
  static TokenRange overview_range(const ImageLimits& limits) { return token_range({limits.min_tokens, {}}, kTokens); }

  /// Into how many tiles a picture is cut; none when one piece serves it. Tiles and overview together stay within the
  /// user's most tokens.
  Grid tile_grid(image::Size size, const ImageLimits& limits) const {
    const double a = align();
    const auto rounded = [&](int side) {
      return std::max<double>(hparams_.patch_size, std::nearbyint(side / a) * a);  // half to even
    };
    if (rounded(size.width) * rounded(size.height) <= kTokens.max * a * a * kTolerance) return {};
    const Grid tile = grid({kTile, kTile});
    int most = kMostTiles;
    if (limits.max_tokens)
      most = std::min(most, (*limits.max_tokens - overview_range(limits).max) / (tile.columns * tile.rows));
    if (most < kFewestTiles) return {};
    const image::Size canvas = image::closest_canvas(size, image::tile_grids(kFewestTiles, most, kTile));
    return {canvas.width / kTile, canvas.height / kTile};
  }

  int merge_ = 2;  ///< patches per side of a token
  PatchEmbedding patches_;
  PositionTable positions_;
  Vit vit_;
  Vector norm_, norm_bias_;  // [merge * merge * n_embd], optional
  TwoLayer mlp_;
};

}  // namespace

extern const ProjectorType projector_lfm2 = {"lfm2",
                                             [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
                                               return std::make_unique<Lfm2>(file, device);
                                             }};

}  // namespace mtmd::encoders
