// Granite Speech (arXiv:2505.08699): a conformer over blocks of rows that was trained to spell (CTC), what it spells
// halfway fed back, and a Q-Former over windows.
#include <algorithm>
#include <cmath>

#include "encoders/projector/audio_registry.h"
#include "encoders/projector/sound.h"
#include "encoders/trunk/conformer.h"
#include "encoders/trunk/conv1d.h"
#include "encoders/trunk/qformer.h"
#include "encoders/trunk/relative.h"
#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

constexpr int kBands = 160;                 // two frames of 80
constexpr std::size_t kFirstPair = 160;     // samples without which there are no two frames
constexpr std::int64_t kBlocksAtOnce = 16;  // of attention, so that its memory does not grow with the recording

class GraniteSound final : public SoundProjector {
 public:
  GraniteSound(const gguf::File& file, Device& device) : SoundProjector("granite_speech", file, device, {}) {
    if (hparams_.n_mel != kBands)
      bad_model(fmt::format("clip.audio.num_mel_bins is {}, expected {}", hparams_.n_mel, kBands));
    if (const auto layers = metadata_.get<std::vector<std::int32_t>>("clip.audio.feature_layer");
        layers && !layers->empty())
      bad_model("clip.audio.feature_layer names layers, expected none: rows of several layers are not supported");
    chunk_ = require_in(metadata_, "clip.audio.chunk_size", 1, 1 << 10);
    const int taps = require_in(metadata_, "clip.audio.conv_kernel_size", 1, 255);
    const std::int64_t n = hparams_.n_embd;
    input_ = Projection(weights_, "a.input_projection", n, kBands);
    spell_ = Projection(weights_, "a.enc_ctc_out", 0, n);
    spelt_ = Projection(weights_, "a.enc_ctc_out_mid", n, spell_.out());
    for (int i = 0; i < hparams_.n_layers; ++i) {
      const std::string prefix = fmt::format("a.blk.{}.", i);
      blocks_.emplace_back(weights_, device, prefix, ConformerSpec{hparams_.n_embd, hparams_.eps},
                           ConvModuleSpec{.taps = taps, .before = taps / 2});
      distances_.push_back(load_distances(prefix + "attn_rel_pos_emb"));
    }
    load_projector();
  }

 private:
  std::vector<audio::Mel> windows(std::span<const float> samples) const override {
    std::vector<float> sound(samples.begin(), samples.end());
    sound.resize(std::max(sound.size(), kFirstPair));
    std::vector<audio::Mel> one;
    one.push_back(audio::granite_mel(sound));
    return one;
  }
  AudioPresets trained_prompts() const override {
    AudioPresets presets;
    presets.transcribe_prompt = "can you transcribe the speech into a written format?", presets.gap = "";
    return presets;
  }
  std::int64_t n_windows(std::int64_t rows) const noexcept { return (rows + window_ - 1) / window_; }
  int tokens_of(int frames) const override { return static_cast<int>(n_windows(frames)) * queries_; }

  void load_projector() {
    window_ = require_in(metadata_, "clip.audio.projector.window_size", 1, 1 << 12);
    const int rate = require_in(metadata_, "clip.audio.projector.downsample_rate", 1, window_);
    const int heads = require_in(metadata_, "clip.audio.projector.head_count", 1, 1024);
    if (window_ % rate != 0) {
      bad_model(
          fmt::format("clip.audio.projector.window_size {} is no multiple of clip.audio.projector.downsample_rate {}",
                      window_, rate));
    }
    if (hparams_.n_embd % heads != 0) {
      bad_model(fmt::format("clip.audio.embedding_length {} is no multiple of clip.audio.projector.head_count {}",
                            hparams_.n_embd, heads));
    }
    queries_ = window_ / rate;
    qformer_ = QFormer(weights_, device_, {hparams_.n_embd, heads, queries_, window_});
    output_ = Projection(weights_, "a.proj_linear", 0, hparams_.n_embd);
    text_width_ = static_cast<int>(output_.out());
  }

  /// The file has a row for each distance from -max_pos_emb to max_pos_emb; within a block not all of them occur.
  NearDistances load_distances(const std::string& name) {
    const int most = require_in(metadata_, "clip.audio.max_pos_emb", 1, 1 << 14);
    if (chunk_ > most + 1) {
      bad_model(fmt::format("clip.audio.chunk_size is {}, expected at most {} (clip.audio.max_pos_emb + 1)", chunk_,
                            most + 1));
    }
    const std::int64_t d = head_dim();
    const Vector table = weights_.values(name + suffix(name), {2 * most + 1, d});
    std::vector<float> line;
    for (int distance = chunk_ - 1; distance > -chunk_; --distance) {
      const auto row = table.subspan(static_cast<std::size_t>((distance + most) * d), static_cast<std::size_t>(d));
      line.insert(line.end(), row.begin(), row.end());
    }
    const float scale = 1.0f / std::sqrt(static_cast<float>(d));
    return NearDistances(device_, line, chunk_, {hparams_.n_heads, head_dim(), scale});
  }
  /// Some converters store the table as a weight.
  const char* suffix(const std::string& name) const { return weights_.has(name) ? "" : ".weight"; }

  void embed(Tensor y, std::span<const audio::Mel* const> windows, Workspace& ws) const override {
    const std::int64_t n = y.rows / std::ssize(windows), rows = windows.front()->frames;
    const std::int64_t padded = n_windows(rows) * window_;
    for (std::size_t i = 0; i < windows.size(); ++i) {
      const Workspace::Scope scope(ws);
      const Tensor x = ws.tensor(padded, hparams_.n_embd), out = ws.tensor(n, hparams_.n_embd);
      encode_one(x.rows_at(0, rows), *windows[i], ws);
      for (std::int64_t row = rows; row < padded; ++row) std::fill_n(x.row(row), x.cols, 0.0f);
      qformer_.run(ws, out, x);
      output_.run(device_, ws, y.rows_at(static_cast<std::int64_t>(i) * n, n), out);
    }
  }

  void encode_one(Tensor x, const audio::Mel& mel, Workspace& ws) const {
    {
      const Workspace::Scope scope(ws);
      const Tensor frames = ws.tensor(x.rows, kBands);
      frames_as_rows(frames, mel);
      input_.run(device_, ws, x, frames);
    }
    for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
      blocks_[layer].run(device_, ws, x,
                         [&](Tensor y, Tensor q, Tensor k, Tensor v) { attend(y, q, k, v, distances_[layer], ws); });
      if (layer + 1 == blocks_.size() / 2) feed_back(x, ws);
    }
  }

  /// Rows of a block see each other.
  void attend(Tensor y, Tensor q, Tensor k, Tensor v, const NearDistances& distances, Workspace& ws) const {
    for (std::int64_t begin = 0; begin < q.rows; begin += kBlocksAtOnce * chunk_) {
      const std::int64_t n = std::min(kBlocksAtOnce * chunk_, q.rows - begin);
      std::vector<KeyRange> ranges;
      for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t first = i / chunk_ * chunk_;
        ranges.push_back({static_cast<std::int32_t>(first), static_cast<std::int32_t>(std::min(first + chunk_, n))});
      }
      distances.attend(ws, y.rows_at(begin, n), q.rows_at(begin, n), k.rows_at(begin, n), v.rows_at(begin, n), ranges);
    }
  }

  /// x += mid(softmax(ctc(x)))
  void feed_back(Tensor x, Workspace& ws) const {
    const Workspace::Scope scope(ws);
    const Tensor letters = ws.tensor(x.rows, spell_.out()), y = ws.tensor(x.rows, x.cols);
    spell_.run(device_, ws, letters, x);
    for (std::int64_t i = 0; i < letters.rows; ++i) {
      const std::span<float> row = letters.row_span(i);
      const float top = *std::max_element(row.begin(), row.end());
      double sum = 0;
      for (float& v : row) sum += v = std::exp(v - top);
      for (float& v : row) v = static_cast<float>(v / sum);
    }
    spelt_.run(device_, ws, y, letters);
    device_.add(x, x, y);
  }

  int chunk_ = 0, window_ = 0, queries_ = 0;
  Projection input_, spell_, spelt_, output_;
  std::vector<ConformerBlock> blocks_;
  std::vector<NearDistances> distances_;
  QFormer qformer_;
};

}  // namespace

extern const AudioProjectorType audio_projector_granite_speech = {
    "granite_speech", [](const gguf::File& file, Device& device) -> std::unique_ptr<AudioProjector> {
      return std::make_unique<GraniteSound>(file, device);
    }};

}  // namespace mtmd::encoders
