// LFM2-Audio: NeMo's FastConformer (Rekesh et al. 2023, arXiv:2305.05084), which makes a row of every eight frames, and
// two matrices.
#include <algorithm>
#include <array>
#include <cmath>

#include "encoders/projector/audio_registry.h"
#include "encoders/projector/sound.h"
#include "encoders/trunk/conformer.h"
#include "encoders/trunk/conv.h"
#include "encoders/trunk/conv1d.h"
#include "encoders/trunk/relative.h"
#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

constexpr int kTaps = 9;           // of the convolution modules
constexpr int kShrink = 8;         // frames of a row
constexpr int kRowsPerSlice = 64;  // convolved at once, so that the grids do not grow with the recording

class Lfm2Sound final : public SoundProjector {
 public:
  Lfm2Sound(const gguf::File& file, Device& device) : SoundProjector("lfm2a", file, device, {}) {
    first_ = Conv2d(weights_, device, "a.conv1d.0", {.in = 1, .out = 0, .kernel = 3, .stride = 2, .pad = 1});
    int bands = first_.side(hparams_.n_mel), channels = first_.out();
    for (int i = 0; i < 2; ++i) {
      const std::string own = fmt::format("a.conv1d.{}", 3 * i + 2), mixed = fmt::format("a.conv1d.{}", 3 * i + 3);
      own_[i] =
          Depthwise(weights_.values(own + ".weight", {channels, 1, 3, 3}), weights_.vector_if(own + ".bias", channels),
                    {.channels = channels, .kernel_h = 3, .kernel_w = 3, .stride = 2, .before_h = 1, .before_w = 1});
      mixed_[i] = Conv2d(weights_, device, mixed, {.in = channels, .kernel = 1, .round_f16 = false});
      channels = mixed_[i].out(), bands = half(bands);
    }
    input_ = Projection(weights_, "a.pre_encode.out", hparams_.n_embd, std::int64_t{channels} * bands);
    const RelativeHeads heads{hparams_.n_heads, head_dim(), 1.0f / std::sqrt(static_cast<float>(head_dim()))};
    const ConformerSpec spec{hparams_.n_embd, hparams_.eps};
    for (int i = 0; i < hparams_.n_layers; ++i) {
      const std::string prefix = fmt::format("a.blk.{}.", i);
      blocks_.emplace_back(weights_, device, prefix, spec, ConvModuleSpec{.taps = kTaps, .before = kTaps / 2});
      distances_.emplace_back(weights_, device, prefix, heads);
    }
    norm_ = RowNorm(weights_, "mm.a.mlp.0", hparams_.n_embd, Norm::layer, hparams_.eps);
    up_ = Projection(weights_, "mm.a.mlp.1", 0, hparams_.n_embd);
    down_ = Projection(weights_, "mm.a.mlp.3", 0, up_.out());
    text_width_ = static_cast<int>(down_.out());
    window_seconds_ = presets().clip_seconds;  // windows() never cuts: what the model was trained for
  }

 private:
  static int half(int n) noexcept { return (n + 1) / 2; }

  std::vector<audio::Mel> windows(std::span<const float> samples) const override {
    std::vector<audio::Mel> one;
    one.push_back(audio::conformer_mel(samples, hparams_.n_mel));
    return one;
  }
  int tokens_of(int frames) const override { return half(half(half(frames))); }
  AudioPresets trained_prompts() const override {
    AudioPresets presets;
    presets.system = "Perform ASR.", presets.transcribe_prompt = "Transcribe the audio.", presets.gap.clear();
    return presets;
  }

  void embed(Tensor y, std::span<const audio::Mel* const> windows, Workspace& ws) const override {
    const std::int64_t n = y.rows / std::ssize(windows);
    for (std::size_t i = 0; i < windows.size(); ++i) {
      const Workspace::Scope scope(ws);
      const Tensor x = ws.tensor(n, hparams_.n_embd), hidden = ws.tensor(n, up_.out());
      convolve(x, *windows[i], ws);
      for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
        blocks_[layer].run(device_, ws, x,
                           [&](Tensor to, Tensor q, Tensor k, Tensor v) { distances_[layer].attend(ws, to, q, k, v); });
      }
      norm_.run(device_, x, x);
      up_.run(device_, ws, hidden, x, Activation::gelu_erf);
      down_.run(device_, ws, y.rows_at(static_cast<std::int64_t>(i) * n, n), hidden);
    }
  }

  void convolve(Tensor x, const audio::Mel& mel, Workspace& ws) const {
    const Workspace::Scope scope(ws);
    const Tensor frames = ws.tensor(mel.frames, mel.bands);
    frames_as_rows(frames, mel);
    for (std::int64_t begin = 0; begin < x.rows; begin += kRowsPerSlice) {
      const Workspace::Scope inner(ws);
      const std::int64_t end = std::min(begin + kRowsPerSlice, x.rows);
      // One more row on both sides: the outermost ones of a slice miss their neighbours.
      const std::int64_t from = std::max<std::int64_t>(begin - 1, 0), to = std::min(end + 1, x.rows);
      const std::int64_t first = from * kShrink, last = std::min(to * kShrink, frames.rows);
      const Tensor rows = ws.tensor(to - from, x.cols);
      convolve_slice(rows, frames.rows_at(first, last - first), ws);
      device_.copy(x.rows_at(begin, end - begin), rows.rows_at(begin - from, end - begin));
    }
  }

  void convolve_slice(Tensor x, Tensor frames, Workspace& ws) const {
    int rows = static_cast<int>(frames.rows), columns = static_cast<int>(frames.cols);
    Tensor grid = ws.tensor(std::int64_t{half(rows)} * half(columns), first_.out());
    first_.run(ws, grid, frames.reshaped(frames.size(), 1), columns, rows);
    rows = half(rows), columns = half(columns);
    device_.activate(grid, grid, Activation::relu);
    for (std::size_t i = 0; i < 2; ++i) {
      const int fewer_rows = half(rows), fewer = half(columns);
      const std::int64_t cells = std::int64_t{fewer_rows} * fewer;
      const Tensor own = ws.tensor(cells, grid.cols), next = ws.tensor(cells, mixed_[i].out());
      own_[i].run(own, fewer, grid, rows, columns);
      mixed_[i].run(ws, next, own, fewer, fewer_rows);
      device_.activate(next, next, Activation::relu);
      grid = next, rows = fewer_rows, columns = fewer;
    }
    // Features channel by channel.
    const auto channels = static_cast<std::int32_t>(grid.cols);
    const Tensor features = ws.tensor(rows, grid.cols * columns);
    device_.unfold(features, grid, {rows, columns, channels, 1, columns, 1, columns, 0, 0}, false);
    input_.run(device_, ws, x, features);
  }

  Conv2d first_;
  std::array<Depthwise, 2> own_;
  std::array<Conv2d, 2> mixed_;  // of one cell: the channels among each other
  Projection input_;
  std::vector<ConformerBlock> blocks_;
  std::vector<SinusoidDistances> distances_;
  RowNorm norm_;
  Projection up_, down_;
};

}  // namespace

extern const AudioProjectorType audio_projector_lfm2a = {
    "lfm2a", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<Lfm2Sound>(file, device);
    }};

}  // namespace mtmd::encoders
