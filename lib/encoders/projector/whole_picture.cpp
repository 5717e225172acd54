#include "encoders/projector/whole_picture.h"

#include <fmt/core.h>

#include <utility>

#include "encoders/trunk/positions.h"

namespace mtmd::encoders {
namespace {

constexpr float kRopeBase = 10000.0f;

}  // namespace

WholePicture::WholePicture(std::string_view type, const gguf::File& file, Device& device, Markers markers)
    : VisionProjector(type, file, device), markers_(std::move(markers)) {}

Plan WholePicture::plan(image::Size size, const ImageLimits& limits) const {
  Plan plan;
  plan.add_text(markers_.begin, markers_.begin_otherwise);
  plan.add_whole(canvas(size, limits));
  plan.add_text(markers_.end, markers_.end_otherwise);
  return plan;
}

void WholePicture::read_merge(std::string_view key, int otherwise) {
  merge_ = in_range_or(metadata_, key, 1, 16, otherwise);
}

WholePicture::Patches WholePicture::block_patches(std::span<const Input* const> inputs) const {
  return ordered_patches(inputs, block_order(inputs.front()->nx * merge_, inputs.front()->ny * merge_, merge_));
}

WholePicture::Patches WholePicture::ordered_patches(std::span<const Input* const> inputs,
                                                    std::vector<std::int32_t> order) const {
  Patches p;
  p.cells = {inputs.front()->nx, inputs.front()->ny};
  p.patches = {p.cells.columns * merge_, p.cells.rows * merge_};
  p.n_inputs = static_cast<std::int64_t>(inputs.size()), p.n = static_cast<std::int64_t>(order.size());
  p.positions = grid_positions(order, p.patches.columns, p.n_inputs);
  p.order = std::move(order);
  return p;
}

void WholePicture::run_vit(Workspace& ws, Tensor x, const Patches& p, Vit::Pass pass) const {
  const std::vector<KeyRange> own = own_picture(p.n_inputs, p.n);
  pass.ranges = own;
  vit_.run(ws, x, pass);
}

void WholePicture::run_rotated(Workspace& ws, Tensor x, const Patches& p, Vit::Pass pass) const {
  const RopeTable rope = vision_rope_table(head_dim(), kRopeBase, p.positions);
  pass.rope = &rope;
  run_vit(ws, x, p, std::move(pass));
}

}  // namespace mtmd::encoders
