// Gemma 4's encoder of sound: two convolutions, conformer blocks whose rows see the 12 rows up to themselves, one
// linear map.
#include <array>
#include <cmath>

#include "encoders/projector/audio_registry.h"
#include "encoders/projector/gemma4_sound.h"
#include "encoders/trunk/conformer.h"
#include "encoders/trunk/conv.h"
#include "encoders/trunk/conv1d.h"
#include "encoders/trunk/relative.h"
#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

constexpr int kSeen = 12;                 // rows that a row sees, itself the last
constexpr float kSoftcap = 50.0f;         // of the scores
constexpr int kTaps = 5;                  // of the convolution modules, all of them backwards
constexpr std::size_t kFirstFrame = 161;  // samples without which there is no frame

class Gemma4Sound final : public Gemma4Hearing {
 public:
  Gemma4Sound(const gguf::File& file, Device& device) : Gemma4Hearing("gemma4a", file, device) {
    if (hparams_.n_embd % 2 != 0)
      bad_model(fmt::format("clip.audio.embedding_length is {}, expected an even number", hparams_.n_embd));
    int channels = 1, bands = hparams_.n_mel;
    for (std::size_t i = 0; i < convs_.size(); ++i) {
      const std::string name = fmt::format("a.conv1d.{}", i);
      convs_[i] = Conv2d(weights_, device, name, {.in = channels, .out = 0, .kernel = 3, .stride = 2, .pad = 1});
      channels = convs_[i].out(), bands = convs_[i].side(bands);
      conv_norms_[i] = weights_.vector(name + ".norm.weight", channels);
    }
    input_ = Projection(weights_, "a.input_projection", hparams_.n_embd, std::int64_t{channels} * bands);
    for (int i = 0; i < hparams_.n_layers; ++i) layers_.push_back(load_layer(fmt::format("a.blk.{}.", i)));
    output_ = Projection(weights_, "a.pre_encode.out", 0, hparams_.n_embd);
    projection_ = Projection(weights_, "mm.a.input_projection", 0, output_.out());
    text_width_ = static_cast<int>(projection_.out());
  }
  void follow_reference() noexcept override { as_reference_ = true; }

 private:
  struct Layer {
    ConformerBlock block;
    Table q_scale, k_scale;  // [1, n_embd]
    NearDistances distances;
  };

  std::vector<audio::Mel> windows(std::span<const float> samples) const override {
    const std::size_t rest = samples.size() % (30 * audio::kRate);
    if (rest == 0 || rest >= kFirstFrame) return audio::gemma4_mel(samples, hparams_.n_mel, !as_reference_);
    std::vector<float> longer(samples.begin(), samples.end());
    longer.resize(samples.size() - rest + kFirstFrame);
    return audio::gemma4_mel(longer, hparams_.n_mel, !as_reference_);
  }
  int tokens_of(int frames) const override { return convs_[1].side(convs_[0].side(frames)); }

  Layer load_layer(const std::string& prefix) {
    const ConformerSpec spec{hparams_.n_embd, hparams_.eps, Norm::rms, true, "attn_pre_norm"};
    const ConvModuleSpec conv{"conv_norm", "norm_conv", false, kTaps, kTaps - 1};
    const float ln2 = std::log(2.0f);  // softplus(0); the scales of keys were trained from softplus(1)
    Layer layer;
    layer.block = ConformerBlock(weights_, device_, prefix, spec, conv);
    layer.q_scale =
        head_scale(prefix + "per_dim_scale.weight", 1.0f / (std::sqrt(static_cast<float>(head_dim())) * ln2));
    layer.k_scale = head_scale(prefix + "per_dim_k_scale.weight", std::log(1.0f + std::exp(1.0f)) / ln2);
    layer.distances = load_distances(Projection(weights_, prefix + "attn_k_rel", hparams_.n_embd, hparams_.n_embd));
    return layer;
  }

  /// Of each value of a head, for all heads: [1, n_embd].
  Table head_scale(const std::string& name, float factor) {
    const Vector one = weights_.vector(name, head_dim());
    std::vector<float> all;
    for (int i = 0; i < hparams_.n_embd; ++i) all.push_back(one[static_cast<std::size_t>(i % head_dim())] * factor);
    return Table(device_, all, 1, hparams_.n_embd);
  }

  /// The keys of distances 0 .. kSeen - 1 are those of their sines and cosines.
  NearDistances load_distances(const Projection& keys) const {
    Workspace ws(device_);
    const std::int64_t n = hparams_.n_embd, half = n / 2, d = head_dim();
    const Tensor waves = ws.tensor(kSeen, n), rows = ws.tensor(kSeen, n);
    const double step = std::log(10000.0) / static_cast<double>(std::max<std::int64_t>(half - 1, 1));
    for (int distance = 0; distance < kSeen; ++distance) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double angle = distance * std::exp(-step * static_cast<double>(i));
        waves.row(distance)[i] = static_cast<float>(std::sin(angle));
        waves.row(distance)[half + i] = static_cast<float>(std::cos(angle));
      }
    }
    keys.run(device_, ws, rows, waves);
    std::vector<float> lines;
    for (std::int64_t head = 0; head < hparams_.n_heads; ++head) {
      for (int r = 0; r < 2 * kSeen - 1; ++r) {
        const float* row = rows.row((2 * kSeen - 1 - r) % kSeen) + head * d;
        lines.insert(lines.end(), row, row + d);
      }
    }
    return NearDistances(device_, lines, kSeen, {hparams_.n_heads, head_dim(), 1.0f, kSoftcap});
  }

  void embed(Tensor y, std::span<const audio::Mel* const> windows, Workspace& ws) const override {
    const std::int64_t n = y.rows / std::ssize(windows);
    for (std::size_t i = 0; i < windows.size(); ++i) {
      const Workspace::Scope scope(ws);
      const Tensor x = ws.tensor(n, hparams_.n_embd), out = ws.tensor(n, output_.out());
      convolve(x, *windows[i], ws);
      for (const Layer& layer : layers_) run_layer(x, layer, ws);
      output_.run(device_, ws, out, x);
      device_.rms_norm(out, out, {}, hparams_.eps);
      projection_.run(device_, ws, y.rows_at(static_cast<std::int64_t>(i) * n, n), out);
    }
  }

  void convolve(Tensor x, const audio::Mel& mel, Workspace& ws) const {
    const Workspace::Scope scope(ws);
    int rows = mel.frames, columns = mel.bands;
    const Tensor frames = ws.tensor(rows, columns);
    frames_as_rows(frames, mel);
    Tensor grid = frames.reshaped(std::int64_t{rows} * columns, 1);
    for (std::size_t i = 0; i < convs_.size(); ++i) {
      const Conv2d& conv = convs_[i];
      const Tensor next = ws.tensor(std::int64_t{conv.side(rows)} * conv.side(columns), conv.out());
      conv.run(ws, next, grid, columns, rows);
      device_.layer_norm(next, next, conv_norms_[i], {}, hparams_.eps);
      device_.activate(next, next, Activation::relu);
      grid = next, columns = conv.side(columns), rows = conv.side(rows);
    }
    input_.run(device_, ws, x, grid.reshaped(rows, std::int64_t{columns} * grid.cols));
  }

  void run_layer(Tensor x, const Layer& layer, Workspace& ws) const {
    std::vector<KeyRange> ranges;
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(x.rows); ++i)
      ranges.push_back({std::max(0, i + 1 - kSeen), i + 1});
    layer.block.run(device_, ws, x, [&](Tensor y, Tensor q, Tensor k, Tensor v) {
      device_.multiply(q, q, layer.q_scale.tensor());
      device_.multiply(k, k, layer.k_scale.tensor());
      layer.distances.attend(ws, y, q, k, v, ranges);
    });
  }

  std::array<Conv2d, 2> convs_;
  std::array<Vector, 2> conv_norms_;  // [channels]
  Projection input_, output_, projection_;
  std::vector<Layer> layers_;
  bool as_reference_ = false;  ///< the last frame of a window is left out
};

}  // namespace

extern const AudioProjectorType audio_projector_gemma4a = {
    "gemma4a", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<Gemma4Sound>(file, device);
    }};

}  // namespace mtmd::encoders
