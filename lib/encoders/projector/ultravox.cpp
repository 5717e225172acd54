// Ultravox (github.com/fixie-ai/ultravox): groups of Whisper's rows through a gated net between two norms.
#include "encoders/projector/audio_registry.h"
#include "encoders/projector/whisper_sound.h"
#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

class Ultravox final : public WhisperSound {
 public:
  Ultravox(const gguf::File& file, Device& device) : WhisperSound("ultravox", file, device, {}) {
    stack_ = stack_factor();
    window_tokens_ = Whisper::kRows / stack_;
    const std::int64_t in = std::int64_t{stack_} * hparams_.n_embd;
    const std::int64_t both = matrix_rows(weights_, "mm.a.mlp.1.weight");
    if (both % 2 != 0) bad_model(fmt::format("mm.a.mlp.1.weight has {} rows, expected an even number", both));
    const std::int64_t hidden = both / 2;
    const Weight halves = weights_.matrix("mm.a.mlp.1.weight", both, in);
    up_ = halves.rows_at(0, hidden), gate_ = halves.rows_at(hidden, hidden);
    norm_pre_ = weights_.vector("mm.a.norm_pre.weight", in);
    norm_mid_ = weights_.vector("mm.a.norm_mid.weight", hidden);
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.a.mlp.2.weight"));
    down_ = weights_.matrix("mm.a.mlp.2.weight", text_width_, hidden);
  }

 private:
  void project(Tensor y, Tensor x, Workspace& ws) const override {
    constexpr float kEps = 1e-6f;
    whisper_.norm(x);
    const Tensor groups = stacked(ws, x, Whisper::kRows, stack_, false);
    device_.rms_norm(groups, groups, norm_pre_, kEps);
    const Tensor hidden = ws.tensor(y.rows, up_.rows);
    device_.gated(hidden, gate_, up_, groups, Activation::silu);
    device_.rms_norm(hidden, hidden, norm_mid_, kEps);
    device_.matmul(y, down_, hidden);
  }

  int stack_ = 1;
  Weight up_, gate_, down_;     // [hidden, stack * n_embd] twice, [text_width, hidden]
  Vector norm_pre_, norm_mid_;  // [stack * n_embd], [hidden]
};

}  // namespace

extern const AudioProjectorType audio_projector_ultravox = {
    "ultravox", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<Ultravox>(file, device);
    }};

}  // namespace mtmd::encoders
