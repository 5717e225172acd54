// Gemma 4 without an encoder for sound: frames of raw samples, normed, through one matrix.
#include "encoders/projector/audio_registry.h"
#include "encoders/projector/gemma4_sound.h"
#include "encoders/trunk/conv1d.h"

namespace mtmd::encoders {
namespace {

class Gemma4RawSound final : public Gemma4Hearing {
 public:
  Gemma4RawSound(const gguf::File& file, Device& device) : Gemma4Hearing("gemma4ua", file, device) {
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.a.input_projection.weight"));
    projection_ = weights_.matrix("mm.a.input_projection.weight", text_width_, hparams_.n_mel);
  }

 private:
  std::vector<audio::Mel> windows(std::span<const float> samples) const override {
    std::vector<audio::Mel> one;
    one.push_back(audio::raw_frames(samples, hparams_.n_mel));
    return one;
  }
  int tokens_of(int frames) const override { return frames; }
  void embed(Tensor y, std::span<const audio::Mel* const> windows, Workspace& ws) const override {
    const std::int64_t frames = windows.front()->frames;
    const Tensor x = ws.tensor(y.rows, hparams_.n_mel);
    for (std::size_t i = 0; i < windows.size(); ++i)
      frames_as_rows(x.rows_at(static_cast<std::int64_t>(i) * frames, frames), *windows[i]);
    device_.rms_norm(x, x, {}, hparams_.eps);
    device_.matmul(y, projection_, x);
  }

  Weight projection_;  // [text_width, n_mel]
};

}  // namespace

extern const AudioProjectorType audio_projector_gemma4ua = {
    "gemma4ua", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<Gemma4RawSound>(file, device);
    }};

}  // namespace mtmd::encoders
