#include "encoders/projector/sliced_picture.h"

#include <fmt/core.h>

namespace mtmd::encoders {
namespace {

constexpr int kTableSide = 70;

/// Per patch, the row of the table for its place in the picture.
std::vector<std::int32_t> buckets(Grid g) {
  std::vector<std::int32_t> ids;
  for (int y = 0; y < g.rows; ++y) {
    for (int x = 0; x < g.columns; ++x) {
      const std::int64_t row = std::int64_t{kTableSide} * y / g.rows, column = std::int64_t{kTableSide} * x / g.columns;
      ids.push_back(static_cast<std::int32_t>(row * kTableSide + column));
    }
  }
  return ids;
}

}  // namespace

void SlicedPicture::load(Device& device, int align) {
  align_ = align;
  if (hparams_.image_size % align != 0)
    bad_model(
        fmt::format("clip.vision.image_size {} is no multiple of {} (clip.vision.patch_size times "
                    "clip.vision.projector.scale_factor, if any)",
                    hparams_.image_size, align));
  patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
  positions_ = weights_.matrix("v.position_embd.weight", std::int64_t{kTableSide} * kTableSide, hparams_.n_embd);
  VitSpec spec = vit_spec();
  spec.swapped_ffn = true;
  vit_ = Vit(weights_, device, spec);
}

Plan SlicedPicture::plan(image::Size size, const ImageLimits&) const {
  Plan plan;
  add_slices(plan, choose_slices(size, {.side = hparams_.image_size, .align = align_}), texts());
  return plan;
}

Presets SlicedPicture::trained_prompts() const {
  Presets presets;
  presets.ocr_prompt = "Please OCR the text in the image.";
  presets.describe_prompt = "Describe the image in detail.";
  return presets;
}

Tensor SlicedPicture::embed_placed(std::span<const Input* const> inputs, Workspace& ws) const {
  const image::Planes& shape = inputs.front()->frames.front();
  const Grid g = patch_grid({shape.width, shape.height});
  const Tensor x = embed_in_order(patches_, inputs, {}, {}, ws);
  const Workspace::Scope scope(ws);
  const std::int64_t n = std::int64_t{g.columns} * g.rows;
  const Tensor table = ws.tensor(n, x.cols);
  device_.get_rows(table, positions_, buckets(g));
  for (std::int64_t i = 0; i < x.rows; i += n) device_.add(x.rows_at(i, n), x.rows_at(i, n), table);
  return x;
}

}  // namespace mtmd::encoders
