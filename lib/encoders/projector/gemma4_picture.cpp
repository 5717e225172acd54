#include "encoders/projector/gemma4_picture.h"

#include <fmt/core.h>

#include <algorithm>

namespace mtmd::encoders {
namespace {

constexpr TokenRange kTokens = {40, 280};

}  // namespace

Gemma4Picture::Gemma4Picture(std::string_view type, const gguf::File& file, Device& device)
    : WholePicture(type, file, device, {"<|image>", "<image|>"}) {
  merge_ = in_range_or(metadata_, "clip.vision.projector.scale_factor", 1, 16, 3);
  constexpr const char* kName = "v.position_embd.weight";
  const gguf::TensorInfo* table = weights_.find(kName);
  if (table == nullptr || table->shape.size() != 3) bad_model(fmt::format("no tensor '{}' of 3 dimensions", kName));
  n_positions_ = static_cast<int>(std::min<std::int64_t>(table->shape[1], 1 << 20));
  if (n_positions_ < merge_)
    bad_model(fmt::format("{} has {} positions per axis, expected at least {}", kName, n_positions_, merge_));
  positions_ = weights_.values(kName, {2, n_positions_, hparams_.n_embd});
  text_width_ = static_cast<int>(matrix_rows(weights_, "mm.input_projection.weight"));
  projection_ = weights_.matrix("mm.input_projection.weight", text_width_, hparams_.n_embd);
}

Canvas Gemma4Picture::canvas(image::Size size, const ImageLimits& limits) const {
  Canvas canvas = dynamic_canvas(size, align(), token_range(limits, kTokens), image::Filter::bilinear);
  // No patch may lie beyond the tables.
  const int most = n_positions_ / merge_ * align();
  canvas.size = {std::min(canvas.size.width, most), std::min(canvas.size.height, most)};
  return canvas;
}

Presets Gemma4Picture::trained_prompts() const {
  Presets presets;
  presets.ocr_prompt = "Transcribe all the text in this image exactly as written.";
  presets.describe_prompt = "Describe this image in detail.";
  return presets;
}

std::vector<Input> Gemma4Picture::centered(std::span<const Input* const> inputs) {
  std::vector<Input> out;
  for (const Input* input : inputs) {
    Input& copy = out.emplace_back(*input);
    for (image::Planes& frame : copy.frames) {
      for (float& v : frame.rgb) v = 2.0f * v - 1.0f;
    }
  }
  return out;
}

std::vector<float> Gemma4Picture::axis_positions(Grid g) const {
  const auto d = static_cast<std::size_t>(hparams_.n_embd);
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(g.columns) * static_cast<std::size_t>(g.rows) * d);
  for (int y = 0; y < g.rows; ++y) {
    for (int x = 0; x < g.columns; ++x) {
      const Vector column = positions_.subspan(static_cast<std::size_t>(x) * d, d);
      const Vector row = positions_.subspan(static_cast<std::size_t>(n_positions_ + y) * d, d);
      for (std::size_t i = 0; i < d; ++i) out.push_back(column[i] + row[i]);
    }
  }
  return out;
}

void Gemma4Picture::project(Tensor y, Tensor x) const {
  device_.rms_norm(x, x, {}, hparams_.eps);
  device_.matmul(y, projection_, x);
}

}  // namespace mtmd::encoders
