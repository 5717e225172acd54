// What the projector types of sound share; a type's own file says only what is special about it.
#pragma once

#include <string>

#include "encoders/projector/audio_projector.h"
#include "encoders/trunk/hparams.h"
#include "encoders/trunk/rows.h"

namespace mtmd::encoders {

/// Texts around all windows of a recording; empty: none.
struct SoundMarkers {
  std::string begin = {}, end = {};
};

class SoundProjector : public AudioProjector {
 public:
  std::string_view type() const noexcept final { return type_; }
  int text_width() const noexcept final { return text_width_; }
  AudioPreprocessed preprocess(std::span<const float> samples) const final;
  int n_tokens(const AudioInput& input) const final { return tokens_of(input.mel.frames); }
  Tensor encode(std::span<const AudioInput* const> inputs, Workspace& ws) const final;
  double max_window_seconds() const noexcept final { return window_seconds_; }
  AudioPresets presets() const final;

 protected:
  SoundProjector(std::string_view type, const gguf::File& file, Device& device, SoundMarkers markers);

  /// Windows of a recording (at least one sample), in order.
  virtual std::vector<audio::Mel> windows(std::span<const float> samples) const = 0;
  /// Tokens of a window of so many frames.
  virtual int tokens_of(int frames) const = 0;
  /// y: [windows * tokens, text_width]; windows of equal shape, few enough for one pass.
  virtual void embed(Tensor y, std::span<const audio::Mel* const> windows, Workspace& ws) const = 0;
  /// Prompts that models of this family were trained with.
  virtual AudioPresets trained_prompts() const;

  int head_dim() const noexcept { return hparams_.n_embd / hparams_.n_heads; }
  [[noreturn]] void bad_model(const std::string& what) const;

  const gguf::Metadata& metadata_;
  Device& device_;
  gguf::Weights weights_;
  AudioHparams hparams_;
  int text_width_ = 0;  ///< set by the type's constructor
  /// windows() cuts where these end; a type that never cuts names what it was trained for.
  double window_seconds_ = 30;

 private:
  std::string_view type_;
  SoundMarkers markers_;
};

}  // namespace mtmd::encoders
