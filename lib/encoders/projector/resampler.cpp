// MiniCPM-V 2.0 to 4.5 (arXiv:2408.01800): slices of a picture, each summed up by a fixed number of learned queries
// that attend to its patches.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "encoders/projector/registry.h"
#include "encoders/projector/sliced_picture.h"

namespace mtmd::encoders {
namespace {

constexpr int kHeadDim = 128;  ///< of the queries' attention
constexpr float kBase = 10000.0f;
constexpr std::array kVersions = {2, 3, 4, 5, 6, 100045};

/// Row and column of each patch as waves (Vaswani et al. 2017, arXiv:1706.03762): [sin x | cos x | sin y | cos y], a
/// quarter of the columns each. [rows * columns, n_embd]
std::vector<float> waves(int columns, int rows, std::int64_t n_embd) {
  const std::int64_t quarter = n_embd / 4;
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(n_embd * columns * rows));
  const auto add = [&](int at, double (*wave)(double)) {
    for (std::int64_t i = 0; i < quarter; ++i)
      out.push_back(static_cast<float>(
          wave(at * std::pow(static_cast<double>(kBase), -static_cast<double>(i) / static_cast<double>(quarter)))));
  };
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; ++x) {
      add(x, std::sin), add(x, std::cos);
      add(y, std::sin), add(y, std::cos);
    }
  }
  return out;
}

class Resampler final : public SlicedPicture {
 public:
  Resampler(const gguf::File& file, Device& device) : SlicedPicture("resampler", file, device) {
    read_version();
    load(device, hparams_.patch_size);
    load_resampler();
  }

 protected:
  SliceTexts texts() const override {
    if (version_ > 2) return SlicedPicture::texts();
    return {"<image>", "</image>", "<slice>", "</slice>", "<image>", "</image>"};
  }

  Grid grid(image::Size) const override { return {n_queries_, 1}; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const image::Planes& shape = inputs.front()->frames.front();
    const Grid g = patch_grid({shape.width, shape.height});
    const Tensor x = embed_placed(inputs, ws);
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    vit_.run(ws, x, {own_picture(n_inputs, x.rows / n_inputs)});
    resample(y, x, g, ws);
  }

 private:
  struct Linear {
    Weight w;     // [text_width, text_width]
    Vector bias;  // [text_width]
  };
  struct LayerNorm {
    Vector w, bias;  // [text_width]
  };

  void read_version() {
    constexpr const char* kKey = "clip.minicpmv_version";
    version_ = in_range_or(metadata_, kKey, 0, 1 << 30, 2);
    if (std::find(kVersions.begin(), kVersions.end(), version_) == kVersions.end())
      bad_model(fmt::format("{} is {}, expected {}", kKey, version_, fmt::join(kVersions, ", ")));
  }

  void load_resampler() {
    const std::int64_t queries = matrix_rows(weights_, "resampler.query");
    text_width_ = static_cast<int>(matrix_rows(weights_, "resampler.proj.weight"));
    if (text_width_ % kHeadDim != 0)
      bad_model(fmt::format("resampler.proj.weight has {} rows, expected a multiple of {} (the size of its heads)",
                            text_width_, kHeadDim));
    n_queries_ = in_range_or(metadata_, "clip.minicpmv_query_num", 1, 1 << 12, static_cast<std::int32_t>(queries));
    const std::int64_t t = text_width_;
    queries_ = weights_.matrix("resampler.query", n_queries_, t);
    keys_ = weights_.matrix("resampler.kv.weight", t, hparams_.n_embd);
    proj_ = weights_.matrix("resampler.proj.weight", t, t);
    const auto linear = [&](const std::string& name) {
      return Linear{weights_.matrix(name + ".weight", t, t), weights_.vector_if(name + ".bias", t)};
    };
    const auto norm = [&](const std::string& name) {
      return LayerNorm{weights_.vector(name + ".weight", t), weights_.vector_if(name + ".bias", t)};
    };
    q_ = linear("resampler.attn.q"), k_ = linear("resampler.attn.k"), v_ = linear("resampler.attn.v");
    out_ = linear("resampler.attn.out");
    norm_q_ = norm("resampler.ln_q"), norm_kv_ = norm("resampler.ln_kv"), norm_post_ = norm("resampler.ln_post");
  }

  void apply(Tensor y, const Linear& how, Tensor x) const { device_.matmul(y, how.w, x, {.bias = how.bias}); }
  void apply(Tensor y, const LayerNorm& how, Tensor x) const {
    device_.layer_norm(y, x, how.w, how.bias, hparams_.eps);
  }

  /// x: [inputs * patches, n_embd] -> y: [inputs * queries, text_width]
  void resample(Tensor y, Tensor x, Grid g, Workspace& ws) const {
    const std::int64_t n = std::int64_t{g.columns} * g.rows, n_inputs = x.rows / n;
    const Tensor kv = ws.tensor(x.rows, y.cols), k = ws.tensor(x.rows, y.cols), v = ws.tensor(x.rows, y.cols);
    device_.matmul(kv, keys_, x);
    apply(kv, norm_kv_, kv);
    apply(v, v_, kv);
    {
      const Workspace::Scope scope(ws);
      const std::vector<float> positions = waves(g.columns, g.rows, y.cols);
      const Tensor table = ws.tensor(n, y.cols);
      std::copy(positions.begin(), positions.end(), table.data);
      for (std::int64_t i = 0; i < n_inputs; ++i) device_.add(kv.rows_at(i * n, n), kv.rows_at(i * n, n), table);
    }
    apply(k, k_, kv);
    const Tensor q = ws.tensor(y.rows, y.cols), h = ws.tensor(y.rows, y.cols);
    std::vector<std::int32_t> ids;
    std::vector<KeyRange> ranges;
    for (std::int64_t i = 0; i < y.rows; ++i) {
      ids.push_back(static_cast<std::int32_t>(i % n_queries_));
      const auto begin = static_cast<std::int32_t>(i / n_queries_ * n);
      ranges.push_back({begin, begin + static_cast<std::int32_t>(n)});
    }
    device_.get_rows(h, queries_, ids);
    apply(h, norm_q_, h);
    apply(q, q_, h);
    AttentionOptions options;
    options.n_heads = options.n_kv_heads = text_width_ / kHeadDim;
    options.key_dim = options.value_dim = kHeadDim;
    options.scale = 1.0f / std::sqrt(static_cast<float>(kHeadDim));
    device_.attention(h, q, k, v, ranges, options);
    apply(q, out_, h);
    apply(q, norm_post_, q);
    device_.matmul(y, proj_, q);
  }

  int version_ = 2, n_queries_ = 0;
  Weight queries_;  // [queries, text_width]
  Weight keys_;     // [text_width, n_embd]
  Weight proj_;     // [text_width, text_width]
  Linear q_, k_, v_, out_;
  LayerNorm norm_q_, norm_kv_, norm_post_;
};

}  // namespace

extern const ProjectorType projector_resampler = {
    "resampler", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Resampler>(file, device);
    }};

}  // namespace mtmd::encoders
