// GLM-ASR (github.com/zai-org/GLM-ASR): groups of Whisper's rows through two matrices, between a row that begins and
// one that ends each window.
#include "encoders/projector/audio_registry.h"
#include "encoders/projector/whisper_sound.h"

namespace mtmd::encoders {
namespace {

class Glma final : public WhisperSound {
 public:
  Glma(const gguf::File& file, Device& device) : WhisperSound("glma", file, device, {}) {
    stack_ = stack_factor();
    window_tokens_ = Whisper::kRows / stack_ + 2;
    norm_ = weights_.vector("mm.a.norm_pre.weight", hparams_.n_embd);
    norm_bias_ = weights_.vector_if("mm.a.norm_pre.bias", hparams_.n_embd);
    bridge_ =
        TwoLayer(weights_, "mm.a.mlp.1", "mm.a.mlp.2", std::int64_t{stack_} * hparams_.n_embd, Activation::gelu_erf);
    text_width_ = bridge_.out();
    begin_ = weights_.values("v.boi", {1, text_width_}), end_ = weights_.values("v.eoi", {1, text_width_});
  }

 private:
  void project(Tensor y, Tensor x, Workspace& ws) const override {
    whisper_.norm(x);
    device_.layer_norm(x, x, norm_, norm_bias_, hparams_.eps);
    const Tensor groups = stacked(ws, x, Whisper::kRows, stack_, false);
    const std::int64_t n = window_tokens_ - 2;
    for (std::int64_t i = 0; i * n < groups.rows; ++i) {
      const Tensor own = y.rows_at(i * window_tokens_, window_tokens_);
      place_row(device_, own.rows_at(0, 1), begin_);
      bridge_.run(device_, ws, own.rows_at(1, n), groups.rows_at(i * n, n));
      place_row(device_, own.rows_at(n + 1, 1), end_);
    }
  }

  AudioPresets trained_prompts() const override {
    AudioPresets presets;
    presets.transcribe_prompt = "Please transcribe this audio into text";
    return presets;
  }

  int stack_ = 1;
  Vector norm_, norm_bias_;  // [n_embd]
  Vector begin_, end_;       // [text_width]
  TwoLayer bridge_;
};

}  // namespace

extern const AudioProjectorType audio_projector_glma = {
    "glma", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<Glma>(file, device);
    }};

}  // namespace mtmd::encoders
