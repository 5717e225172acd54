// Llama 4 (Meta, 2025): a transformer with learned and rotary positions on square tiles and an overview, s x s patches
// per token.
#include <fmt/core.h>

#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/positions.h"

namespace mtmd::encoders {
namespace {

constexpr int kMostTiles = 3;  ///< per side

class Llama4 final : public VisionProjector {
 public:
  Llama4(const gguf::File& file, Device& device) : VisionProjector("llama4", file, device) {
    const std::int64_t d = hparams_.n_embd;
    require_rotatable_heads();
    side_ = hparams_.image_size / hparams_.patch_size;
    merge_ = require_in(metadata_, "clip.vision.projector.scale_factor", 1, side_);
    if (side_ % merge_ != 0) {
      bad_model(fmt::format("{} x {} patches cannot be merged by clip.vision.projector.scale_factor {}", side_, side_,
                            merge_));
    }
    patches_ = PatchEmbedding::as_matrix(weights_, device, hparams_.n_embd, hparams_.patch_size);
    const std::int64_t rows = std::int64_t{side_} * side_ + 1;
    positions_ = Table(device, weights_.values("v.position_embd.weight", {rows, d}), rows, d);
    class_token_ = weights_.vector("v.class_embd", d);
    vit_ = Vit(weights_, device, vit_spec());
    load_projection();
    for (int columns = 1; columns <= kMostTiles; ++columns) {
      for (int lines = 1; lines <= kMostTiles; ++lines) {
        if (columns * lines > 1) canvases_.push_back({columns * hparams_.image_size, lines * hparams_.image_size});
      }
    }
  }

 protected:
  Plan plan(image::Size size, const ImageLimits&) const override {
    Plan plan;
    plan.add_text("<|image_start|>");
    plan.add_tiles_and_overview(size, hparams_.image_size, canvases_);
    plan.add_text("<|image_end|>");
    return plan;
  }

  Grid grid(image::Size) const override { return {side_ / merge_, side_ / merge_}; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    const std::int64_t n = std::int64_t{side_} * side_, rows = n + 1, n_tokens = y.rows / n_inputs;
    const Tensor x = embed_with_class(patches_, class_token_, positions_, inputs, ws);
    const RopeTable rope = rope_2d(head_dim(), {.rows_first = false}, rope_positions(n_inputs));
    const std::vector<KeyRange> ranges = own_picture(n_inputs, rows);
    Vit::Pass pass{ranges};
    pass.rope = &rope, pass.pairs = RopePairs::adjacent;
    vit_.run(ws, x, pass);
    const std::vector<std::int32_t> order = column_by_column(side_ / merge_);
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Workspace::Scope scope(ws);
      const Tensor merged = merge_cells(device_, ws, x.rows_at(i * rows, n), side_, side_, merge_);
      const Tensor turned = ws.tensor(merged.rows, merged.cols);
      gather(device_, turned, merged, order);
      project(y.rows_at(i * n_tokens, n_tokens), turned, ws);
    }
  }

 private:
  void load_projection() {
    const std::int64_t merged = std::int64_t{hparams_.n_embd} * merge_ * merge_;
    const std::int64_t first = matrix_rows(weights_, "mm.model.mlp.1.weight"),
                       second = matrix_rows(weights_, "mm.model.mlp.2.weight");
    mlp1_ = weights_.matrix("mm.model.mlp.1.weight", first, merged);
    mlp2_ = weights_.matrix("mm.model.mlp.2.weight", second, first);
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.model.fc.weight"));
    fc_ = weights_.matrix("mm.model.fc.weight", text_width_, second);
  }

  void project(Tensor y, Tensor x, Workspace& ws) const {
    const Tensor a = ws.tensor(x.rows, mlp1_.rows), b = ws.tensor(x.rows, mlp2_.rows);
    device_.matmul(a, mlp1_, x, {.activation = Activation::gelu_tanh});
    device_.matmul(b, mlp2_, a, {.activation = Activation::gelu_tanh});
    device_.matmul(y, fc_, b);
  }

  /// Patches count from 1; the class token behind them is at 0.
  std::vector<Position> rope_positions(std::int64_t n_inputs) const {
    std::vector<Position> positions;
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      for (int row = 1; row <= side_; ++row) {
        for (int column = 1; column <= side_; ++column) positions.push_back({0, row, column, 0});
      }
      positions.emplace_back();
    }
    return positions;
  }

  /// The models' own order of tokens: raster indices of a grid, top to bottom in each column.
  static std::vector<std::int32_t> column_by_column(int side) {
    std::vector<std::int32_t> order;
    for (int column = 0; column < side; ++column) {
      for (int row = 0; row < side; ++row) order.push_back(row * side + column);
    }
    return order;
  }

  int side_ = 0, merge_ = 1;  ///< patches per side; patches per side of a token
  PatchEmbedding patches_;
  Table positions_;     // [side * side + 1, n_embd]
  Vector class_token_;  // [n_embd]
  Vit vit_;
  Weight mlp1_, mlp2_, fc_;  // [first, merge * merge * n_embd], [second, first], [text_width, second]
  std::vector<image::Size> canvases_;
};

}  // namespace

extern const ProjectorType projector_llama4 = {
    "llama4", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Llama4>(file, device);
    }};

}  // namespace mtmd::encoders
