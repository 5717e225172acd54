// Music Flamingo (arXiv:2511.10289): averaged pairs of Whisper's rows through two matrices.
#include "encoders/projector/audio_registry.h"
#include "encoders/projector/whisper_sound.h"

namespace mtmd::encoders {
namespace {

class MusicFlamingo final : public WhisperSound {
 public:
  MusicFlamingo(const gguf::File& file, Device& device)
      : WhisperSound("musicflamingo", file, device, {"<sound>"}),
        bridge_(weights_, "mm.a.mlp.1", "mm.a.mlp.2", hparams_.n_embd, Activation::gelu_erf) {
    text_width_ = bridge_.out();
    window_tokens_ = Whisper::kRows / 2;
  }

 private:
  void project(Tensor y, Tensor x, Workspace& ws) const override { bridge_.run(device_, ws, y, pooled(ws, x)); }

  AudioPresets trained_prompts() const override {
    AudioPresets presets;
    presets.transcribe_prompt = "Transcribe the input speech.";
    return presets;
  }

  TwoLayer bridge_;
};

}  // namespace

extern const AudioProjectorType audio_projector_musicflamingo = {
    "musicflamingo", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<MusicFlamingo>(file, device);
    }};

}  // namespace mtmd::encoders
