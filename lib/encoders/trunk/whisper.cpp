#include "encoders/trunk/whisper.h"

#include "engine/base/error.h"

namespace mtmd::encoders {

VitSpec speech_vit_spec(const AudioHparams& hparams) {
  VitSpec spec;
  spec.prefix = "a.", spec.activation = Activation::gelu_erf, spec.eps = hparams.eps;
  spec.n_embd = hparams.n_embd, spec.n_heads = hparams.n_heads, spec.n_layers = hparams.n_layers;
  return spec;
}

Whisper::Whisper(gguf::Weights& weights, Device& device, const AudioHparams& hparams)
    : device_(&device),
      n_mel_(hparams.n_mel),
      first_(weights, device, "a.conv1d.1", hparams.n_mel, hparams.n_embd, 1),
      second_(weights, device, "a.conv1d.2", hparams.n_embd, hparams.n_embd, 2),
      vit_(weights, device, speech_vit_spec(hparams)) {
  constexpr const char* kPositions = "a.position_embd.weight";
  const std::int64_t rows = matrix_rows(weights, kPositions);
  if (rows < kRows) {
    fail(ErrorCategory::model, "{}: {} has {} rows, expected at least {}", weights.file().metadata().file(), kPositions,
         rows, kRows);
  }
  const Vector all = weights.values(kPositions, {rows, hparams.n_embd});
  positions_ = Table(device, all.subspan(0, static_cast<std::size_t>(kRows) * static_cast<std::size_t>(hparams.n_embd)),
                     kRows, hparams.n_embd);
}

void Whisper::convolve(Workspace& ws, Tensor x, const audio::Mel& mel) const {
  const Workspace::Scope scope(ws);
  const Tensor frames = ws.tensor(kFrames, n_mel_), hidden = ws.tensor(kFrames, x.cols);
  frames_as_rows(frames, mel);
  first_.run(ws, hidden, frames, Activation::gelu_erf);
  second_.run(ws, x, hidden, Activation::gelu_erf);
  device_->add(x, x, positions_.tensor());
}

void Whisper::run(Workspace& ws, Tensor x, std::span<const audio::Mel* const> windows) const {
  const auto n = static_cast<std::int64_t>(windows.size());
  for (std::int64_t i = 0; i < n; ++i) {
    const audio::Mel& mel = *windows[static_cast<std::size_t>(i)];
    if (mel.frames != kFrames || mel.bands != n_mel_) {
      fail(ErrorCategory::internal, "a window of {} bands and {} frames, expected {} and {}", mel.bands, mel.frames,
           n_mel_, kFrames);
    }
    convolve(ws, x.rows_at(i * kRows, kRows), mel);
  }
  const auto ranges = own_picture(n, kRows);
  vit_.begin(x);
  vit_.run_layers(ws, x, {.ranges = ranges}, 0, vit_.n_layers());
}

}  // namespace mtmd::encoders
