// Whole pictures whose encoder attends inside windows in most layers (Qwen2.5-VL, arXiv:2502.13923), with a two-layer
// bridge per token (mm.0, mm.2).
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "encoders/projector/whole_picture.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {

class WindowedPicture : public WholePicture {
 public:
  PositionKind positions() const noexcept override { return PositionKind::grid; }

 protected:
  using WholePicture::WholePicture;

  /// Fetches the bridge; merge_ is set.
  void load_bridge();
  /// Windows of so many pixels per side; at least one cell.
  void set_window(int pixels) noexcept { window_cells_ = std::max(1, pixels / hparams_.patch_size / merge_); }
  /// n_wa_pattern: every so many layers see the whole picture; 0 or missing: all do.
  void read_full_pattern();
  void see_whole_picture(std::vector<bool> layers) { full_ = std::move(layers); }

  /// What happens to the rows of patches between the encoder and the bridge.
  virtual void finish_patches(Tensor) const {}
  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override;

 private:
  int window_cells_ = 1;    ///< cells per side of a window
  std::vector<bool> full_;  ///< per layer: sees the whole picture
  TwoLayer bridge_;
};

/// Qwen2.5-VL's encoder, which Qwen2.5-Omni shares.
class Qwen25Vision : public WindowedPicture {
 public:
  /// `older_naming`: files whose feed-forward nets have their names exchanged exist.
  Qwen25Vision(std::string_view type, const gguf::File& file, Device& device, bool older_naming);
  bool merges_frames() const noexcept override { return true; }

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override;
  Presets trained_prompts() const override;
};

}  // namespace mtmd::encoders
