// Speech through Whisper's encoder: windows of 30 s, of which each type makes tokens in its own way.
#pragma once

#include "encoders/projector/sound.h"
#include "encoders/trunk/two_layer.h"
#include "encoders/trunk/whisper.h"

namespace mtmd::encoders {

class WhisperSound : public SoundProjector {
 protected:
  WhisperSound(std::string_view type, const gguf::File& file, Device& device, SoundMarkers markers)
      : SoundProjector(type, file, device, std::move(markers)), whisper_(weights_, device, hparams_) {}

  std::vector<audio::Mel> windows(std::span<const float> samples) const final {
    return audio::whisper_mel(samples, hparams_.n_mel);
  }
  int tokens_of(int) const final { return window_tokens_; }
  void embed(Tensor y, std::span<const audio::Mel* const> windows, Workspace& ws) const final;

  /// x: [windows * Whisper::kRows, n_embd], before the last norm, may be overwritten; y: [windows * tokens,
  /// text_width].
  virtual void project(Tensor y, Tensor x, Workspace& ws) const = 0;

  /// Averages of pairs of rows, then the last norm: [windows * kRows / 2, n_embd].
  Tensor pooled(Workspace& ws, Tensor x) const;
  /// `k` consecutive rows of a window of `n` side by side: x [windows * n, d] -> [windows * n / k, k * d]. A last group
  /// that is not whole is filled up with zeros (`fill`) or left out.
  Tensor stacked(Workspace& ws, Tensor x, std::int64_t n, int k, bool fill) const;
  /// clip.audio.projector.stack_factor, at most kRows.
  int stack_factor() const;

  Whisper whisper_;
  int window_tokens_ = 0;  ///< set by the type's constructor
};

/// Qwen2-Audio (arXiv:2407.10759) and Qwen2.5-Omni (arXiv:2503.20215): pairs of rows averaged, one matrix.
class Qwen2Sound final : public WhisperSound {
 public:
  Qwen2Sound(std::string_view type, const gguf::File& file, Device& device);

 private:
  void project(Tensor y, Tensor x, Workspace& ws) const override;
  AudioPresets trained_prompts() const override;
  Weight fc_;    // [text_width, n_embd]
  Vector bias_;  // [text_width], optional
};

}  // namespace mtmd::encoders
