// MERaLiON-AudioLLM (arXiv:2412.09818): groups of Whisper's rows through a gated net of four matrices.
#include "encoders/projector/audio_registry.h"
#include "encoders/projector/whisper_sound.h"

namespace mtmd::encoders {
namespace {

class Meralion final : public WhisperSound {
 public:
  Meralion(const gguf::File& file, Device& device) : WhisperSound("meralion", file, device, {}) {
    stack_ = stack_factor();
    window_tokens_ = (Whisper::kRows + stack_ - 1) / stack_;
    const std::int64_t in = std::int64_t{stack_} * hparams_.n_embd;
    norm_ = weights_.vector("mm.a.norm_pre.weight", in), norm_bias_ = weights_.vector_if("mm.a.norm_pre.bias", in);
    const std::int64_t hidden = matrix_rows(weights_, "mm.a.mlp.0.weight");
    first_ = Linear(weights_, "mm.a.mlp.0", hidden, in);
    gate_ = Linear(weights_, "mm.a.mlp.1", matrix_rows(weights_, "mm.a.mlp.1.weight"), hidden);
    up_ = Linear(weights_, "mm.a.mlp.2", gate_.w.rows, hidden);
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.a.mlp.3.weight"));
    last_ = Linear(weights_, "mm.a.mlp.3", text_width_, gate_.w.rows);
  }

 private:
  struct Linear {
    Weight w;     // [out, in]
    Vector bias;  // [out], optional
    Linear() = default;
    Linear(gguf::Weights& weights, const std::string& name, std::int64_t out, std::int64_t in)
        : w(weights.matrix(name + ".weight", out, in)), bias(weights.vector_if(name + ".bias", out)) {}
  };

  void project(Tensor y, Tensor x, Workspace& ws) const override {
    whisper_.norm(x);
    const Tensor groups = stacked(ws, x, Whisper::kRows, stack_, true);
    device_.layer_norm(groups, groups, norm_, norm_bias_, hparams_.eps);
    const Tensor hidden = ws.tensor(y.rows, first_.w.rows), gated = ws.tensor(y.rows, gate_.w.rows);
    device_.matmul(hidden, first_.w, groups, {.bias = first_.bias, .activation = Activation::silu});
    device_.feed_forward(y, {gate_.w, up_.w, last_.w, Activation::silu, gate_.bias, up_.bias}, hidden, gated,
                         {.bias = last_.bias});
  }

  AudioPresets trained_prompts() const override {
    AudioPresets presets;
    presets.transcribe_prompt = "Please transcribe this speech.";
    return presets;
  }

  int stack_ = 1;
  Vector norm_, norm_bias_;  // [stack * n_embd]
  Linear first_, gate_, up_, last_;
};

}  // namespace

extern const AudioProjectorType audio_projector_meralion = {
    "meralion", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<Meralion>(file, device);
    }};

}  // namespace mtmd::encoders
