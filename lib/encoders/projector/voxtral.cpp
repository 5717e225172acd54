// Voxtral (arXiv:2507.13264): averaged pairs of Whisper's rows, groups of those through two matrices.
#include "encoders/projector/audio_registry.h"
#include "encoders/projector/whisper_sound.h"

namespace mtmd::encoders {
namespace {

class Voxtral final : public WhisperSound {
 public:
  Voxtral(const gguf::File& file, Device& device) : WhisperSound("voxtral", file, device, {"[BEGIN_AUDIO]"}) {
    stack_ = stack_factor();
    window_tokens_ = kPairs / stack_;
    bridge_ =
        TwoLayer(weights_, "mm.a.mlp.1", "mm.a.mlp.2", std::int64_t{stack_} * hparams_.n_embd, Activation::gelu_erf);
    text_width_ = bridge_.out();
  }

 private:
  static constexpr int kPairs = Whisper::kRows / 2;

  void project(Tensor y, Tensor x, Workspace& ws) const override {
    bridge_.run(device_, ws, y, stacked(ws, pooled(ws, x), kPairs, stack_, false));
  }

  AudioPresets trained_prompts() const override {
    AudioPresets presets;
    presets.answer = "{language}[TRANSCRIBE]", presets.with_language = "lang:{code}", presets.gap.clear();
    return presets;
  }

  int stack_ = 1;
  TwoLayer bridge_;
};

}  // namespace

extern const AudioProjectorType audio_projector_voxtral = {
    "voxtral", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<Voxtral>(file, device);
    }};

}  // namespace mtmd::encoders
