// Whisper's encoder (Radford et al. 2022, arXiv:2212.04356): two convolutions over the spectrogram, positions, and a
// transformer over each window of 30 s.
#pragma once

#include <span>

#include "encoders/audio/mel.h"
#include "encoders/trunk/conv1d.h"
#include "encoders/trunk/hparams.h"
#include "encoders/trunk/vit.h"

namespace mtmd::encoders {

class Whisper {
 public:
  static constexpr int kFrames = 3000;       ///< of a window
  static constexpr int kRows = kFrames / 2;  ///< that the encoder makes of it

  Whisper() = default;
  /// Fetches a.conv1d.1, a.conv1d.2, a.position_embd [>= kRows, n_embd], a.blk.* and a.post_ln where the file has it.
  Whisper(gguf::Weights& weights, Device& device, const AudioHparams& hparams);

  /// Windows of kFrames frames -> x [windows * kRows, n_embd], before the last norm.
  void run(Workspace& ws, Tensor x, std::span<const audio::Mel* const> windows) const;
  /// The last norm (a.post_ln), in place; nothing where the file has none.
  void norm(Tensor x) const { vit_.end(x); }

 private:
  void convolve(Workspace& ws, Tensor x, const audio::Mel& mel) const;

  Device* device_ = nullptr;
  int n_mel_ = 0;
  Conv1d first_, second_;
  Table positions_;  // [kRows, n_embd]
  Vit vit_;
};

/// The blocks of speech encoders: LayerNorm, erf-GELU.
VitSpec speech_vit_spec(const AudioHparams& hparams);

}  // namespace mtmd::encoders
