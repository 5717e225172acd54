// Qwen3-ASR and the audio tower of Qwen3-Omni (arXiv:2509.17765): blocks of a second through three convolutions, a
// transformer over windows of 8 s.
#include "encoders/projector/audio_registry.h"
#include "encoders/projector/sound.h"
#include "encoders/trunk/conv.h"
#include "encoders/trunk/conv1d.h"
#include "encoders/trunk/two_layer.h"
#include "encoders/trunk/vit.h"
#include "encoders/trunk/whisper.h"
#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

constexpr int kBlock = 100;  // frames that are convolved together

class Qwen3Sound final : public SoundProjector {
 public:
  Qwen3Sound(const gguf::File& file, Device& device)
      : SoundProjector("qwen3a", file, device, {"<|audio_start|>", "<|audio_end|>"}),
        vit_(weights_, device, speech_vit_spec(hparams_)),
        bridge_(weights_, "mm.a.mlp.1", "mm.a.mlp.2", hparams_.n_embd, Activation::gelu_erf) {
    window_seconds_ = 8;
    text_width_ = bridge_.out();
    rows_ = kBlock, bands_ = hparams_.n_mel;
    int channels = 1;
    for (int i = 0; i < 3; ++i) {
      convs_[i] = Conv2d(weights_, device, fmt::format("a.conv2d.{}", i + 1),
                         {.in = channels, .out = 0, .kernel = 3, .stride = 2, .pad = 1});
      channels = convs_[i].out(), rows_ = convs_[i].side(rows_), bands_ = convs_[i].side(bands_);
    }
    out_ = weights_.matrix("a.conv_out.weight", hparams_.n_embd, std::int64_t{channels} * bands_);
    out_bias_ = weights_.vector_if("a.conv_out.bias", hparams_.n_embd);
    load_positions();
  }

 private:
  std::vector<audio::Mel> windows(std::span<const float> samples) const override {
    return audio::qwen3_mel(samples, hparams_.n_mel);
  }
  int tokens_of(int frames) const override { return frames / kBlock * rows_; }
  AudioPresets trained_prompts() const override {
    AudioPresets presets;
    presets.transcribe_prompt = "Transcribe the {language}audio into text.", presets.with_language = "{name} ";
    presets.transcript_token = "<asr_text>";
    return presets;
  }

  void load_positions() {
    constexpr const char* kName = "a.position_embd.weight";
    const std::int64_t rows = matrix_rows(weights_, kName);
    if (rows < rows_) bad_model(fmt::format("{} has {} rows, expected at least {}", kName, rows, rows_));
    const Vector all = weights_.values(kName, {rows, hparams_.n_embd});
    const auto used = static_cast<std::size_t>(rows_) * static_cast<std::size_t>(hparams_.n_embd);
    positions_ = Table(device_, all.subspan(0, used), rows_, hparams_.n_embd);
  }

  /// Frames [begin, begin + kBlock) -> x [rows_, n_embd]
  void embed_block(Tensor x, const audio::Mel& mel, int begin, Workspace& ws) const {
    const Workspace::Scope scope(ws);
    int columns = kBlock, rows = hparams_.n_mel;
    Tensor grid = ws.tensor(std::int64_t{rows} * columns, 1);
    for (int b = 0; b < rows; ++b) std::copy_n(mel.band(b) + begin, kBlock, grid.data + std::int64_t{b} * kBlock);
    for (const Conv2d& conv : convs_) {
      const Tensor next = ws.tensor(std::int64_t{conv.side(rows)} * conv.side(columns), conv.out());
      conv.run(ws, next, grid, columns, rows);
      device_.activate(next, next, Activation::gelu_erf);
      grid = next, columns = conv.side(columns), rows = conv.side(rows);
    }
    // A column of the grid becomes a row, channel by channel.
    const Unfold2d how{rows, columns, convs_[2].out(), rows, 1, rows, 1, 0, 0};
    const Tensor features = ws.tensor(columns, std::int64_t{convs_[2].out()} * rows);
    device_.unfold(features, grid, how, false);
    device_.matmul(x, out_, features, {.bias = out_bias_});
    device_.add(x, x, positions_.tensor());
  }

  void embed(Tensor y, std::span<const audio::Mel* const> windows, Workspace& ws) const override {
    const int frames = windows.front()->frames;
    if (windows.front()->bands != hparams_.n_mel || frames % kBlock != 0) {
      fail(ErrorCategory::internal, "a window of {} bands and {} frames, expected {} and a multiple of {}",
           windows.front()->bands, frames, hparams_.n_mel, kBlock);
    }
    const Tensor x = ws.tensor(y.rows, hparams_.n_embd);
    std::int64_t at = 0;
    for (const audio::Mel* mel : windows) {
      for (int begin = 0; begin < frames; begin += kBlock, at += rows_)
        embed_block(x.rows_at(at, rows_), *mel, begin, ws);
    }
    const auto n = static_cast<std::int64_t>(windows.size());
    const auto ranges = own_picture(n, y.rows / n);
    vit_.run(ws, x, {.ranges = ranges});
    bridge_.run(device_, ws, y, x);
  }

  int rows_ = 0, bands_ = 0;  // of a block behind the convolutions: time and frequency
  std::array<Conv2d, 3> convs_;
  Weight out_;  // [n_embd, channels * bands_]
  Vector out_bias_;
  Table positions_;  // [rows_, n_embd]
  Vit vit_;
  TwoLayer bridge_;
};

}  // namespace

extern const AudioProjectorType audio_projector_qwen3a = {
    "qwen3a", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<Qwen3Sound>(file, device);
    }};

}  // namespace mtmd::encoders
