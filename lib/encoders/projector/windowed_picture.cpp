#include "encoders/projector/windowed_picture.h"

#include "encoders/trunk/windows.h"

namespace mtmd::encoders {

void WindowedPicture::load_bridge() {
  bridge_ = TwoLayer(weights_, "mm.0", "mm.2", cell_width(), Activation::gelu_tanh);
  text_width_ = bridge_.out();
}

void WindowedPicture::read_full_pattern() {
  const int every = in_range_or(metadata_, "clip.vision.n_wa_pattern", 0, 1024, 0);
  full_.clear();
  for (int layer = 0; layer < hparams_.n_layers; ++layer) full_.push_back(every == 0 || (layer + 1) % every == 0);
}

void WindowedPicture::embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const {
  const Windows windows = make_windows(inputs.front()->nx, inputs.front()->ny, window_cells_, merge_);
  const Patches p = ordered_patches(inputs, windows.patches);
  const Tensor x = embed_in_order(patches_, inputs, p.order, {}, ws);
  const std::vector<KeyRange> own_window = repeated(windows.ranges, p.n_inputs);
  Vit::Pass pass;
  pass.windows = own_window;
  pass.windowed = [this](int layer) { return !full_[static_cast<std::size_t>(layer)]; };
  run_rotated(ws, x, p, pass);
  finish_patches(x);
  const Tensor rows = ws.tensor(y.rows, y.cols);
  bridge_.run(device_, ws, rows, cells(x));
  const std::int64_t n = y.rows / p.n_inputs;
  for (std::int64_t i = 0; i < p.n_inputs; ++i)  // back to the order of the grid
    gather(device_, y.rows_at(i * n, n), rows.rows_at(i * n, n), windows.inverse);
}

Qwen25Vision::Qwen25Vision(std::string_view type, const gguf::File& file, Device& device, bool older_naming)
    : WindowedPicture(type, file, device, {"<|vision_start|>", "<|vision_end|>"}) {
  require_rotatable_heads();
  read_full_pattern();
  set_window(in_range_or(metadata_, "clip.vision.window_size", 1, 1 << 14, 112));
  patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size, 2);
  VitSpec spec = vit_spec();
  spec.swapped_ffn = older_naming, spec.norm = Norm::rms, spec.gated = true;
  vit_ = Vit(weights_, device, spec);
  load_bridge();
}

Canvas Qwen25Vision::canvas(image::Size size, const ImageLimits& limits) const {
  return dynamic_canvas(size, align(), token_range(limits, {8, 4096}), image::Filter::bilinear);
}

Presets Qwen25Vision::trained_prompts() const {
  Presets presets;
  presets.ocr_prompt = "Read all the text in the image.";
  presets.describe_prompt = "Describe this image.";
  presets.gap = "";
  return presets;
}

}  // namespace mtmd::encoders
