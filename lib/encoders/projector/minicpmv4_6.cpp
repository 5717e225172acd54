// MiniCPM-V 4.6: slices as in its predecessors; every 2 x 2 patches become one row in the middle of the encoder, and
// every 2 x 2 of those a token at its end.
#include <fmt/core.h>

#include <cmath>
#include <vector>

#include "encoders/projector/registry.h"
#include "encoders/projector/sliced_picture.h"
#include "encoders/trunk/two_layer.h"
#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

constexpr int kCell = 2;  ///< per side, of both mergers

/// Four neighbours look at each other and become one row: their perceptron plus their mean.
class CellMerger {
 public:
  CellMerger() = default;
  CellMerger(gguf::Weights& weights, Device& device, const VisionHparams& hparams)
      : device_(&device), n_heads_(hparams.n_heads), eps_(hparams.eps) {
    const std::string prefix = "v.vit_merger.";
    const std::int64_t d = hparams.n_embd, merged = d * kCell * kCell;
    const auto linear = [&](const std::string& name) {
      return Linear{weights.matrix(prefix + name + ".weight", d, d), weights.vector_if(prefix + name + ".bias", d)};
    };
    ln_ = weights.vector(prefix + "ln1.weight", d), ln_bias_ = weights.vector_if(prefix + "ln1.bias", d);
    q_ = linear("attn_q"), k_ = linear("attn_k"), v_ = linear("attn_v"), out_ = linear("attn_out");
    cell_ln_ = weights.vector(prefix + "ds_ln.weight", merged);
    cell_ln_bias_ = weights.vector_if(prefix + "ds_ln.bias", merged);
    mlp_ = TwoLayer(weights, prefix + "ds_ffn_up", prefix + "ds_ffn_down", merged, Activation::gelu_tanh);
    if (mlp_.out() != d)
      fail(ErrorCategory::model, "{}: {}ds_ffn_down.weight has {} rows, expected {}", weights.file().metadata().file(),
           prefix, mlp_.out(), d);
  }

  /// x: [4 n, n_embd] in block order, is overwritten; y: [n, n_embd]
  void run(Workspace& ws, Tensor y, Tensor x) const {
    const Workspace::Scope scope(ws);
    const Tensor h = ws.tensor(x.rows, x.cols), q = ws.tensor(x.rows, x.cols), k = ws.tensor(x.rows, x.cols),
                 v = ws.tensor(x.rows, x.cols);
    device_->layer_norm(h, x, ln_, ln_bias_, eps_);
    device_->matmul({{q, q_.w, {.bias = q_.bias}}, {k, k_.w, {.bias = k_.bias}}, {v, v_.w, {.bias = v_.bias}}}, h);
    AttentionOptions options;
    options.n_heads = options.n_kv_heads = n_heads_;
    options.key_dim = options.value_dim = static_cast<std::int32_t>(x.cols) / n_heads_;
    options.scale = 1.0f / std::sqrt(static_cast<float>(options.key_dim));
    device_->attention(h, q, k, v, own_picture(y.rows, kCell * kCell), options);
    device_->matmul(x, out_.w, h, {.bias = out_.bias, .accumulate = true});
    const Tensor cells = x.reshaped(y.rows, x.cols * kCell * kCell), normed = h.reshaped(cells.rows, cells.cols);
    device_->layer_norm(normed, cells, cell_ln_, cell_ln_bias_, eps_);
    mlp_.run(*device_, ws, y, normed);
    const Tensor mean = ws.tensor(y.rows, y.cols);
    // Cells in block order are a picture that is one cell wide.
    device_->average_pool(mean, x, static_cast<std::int32_t>(x.rows / kCell), kCell, kCell);
    device_->add(y, y, mean);
  }

 private:
  struct Linear {
    Weight w;     // [n_embd, n_embd]
    Vector bias;  // [n_embd], optional
  };
  Device* device_ = nullptr;
  std::int32_t n_heads_ = 1;
  float eps_ = 0.0f;
  Vector ln_, ln_bias_, cell_ln_, cell_ln_bias_;  // [n_embd], [4 n_embd]
  Linear q_, k_, v_, out_;
  TwoLayer mlp_;  // 4 n_embd -> n_embd
};

class MiniCpmV46 final : public SlicedPicture {
 public:
  MiniCpmV46(const gguf::File& file, Device& device) : SlicedPicture("minicpmv4_6", file, device) {
    const std::int64_t d = hparams_.n_embd, merged = d * kCell * kCell;
    read_sizes();
    load(device, hparams_.patch_size * scale_);
    if (merges_inside()) cell_merger_ = CellMerger(weights_, device, hparams_);
    norm_ = weights_.vector("mm.input_norm.weight", merged);
    norm_bias_ = weights_.vector_if("mm.input_norm.bias", merged);
    mlp_ = TwoLayer(weights_, "mm.up", "mm.down", merged, Activation::gelu_erf);
    text_width_ = mlp_.out();
  }

 protected:
  Grid grid(image::Size input) const override { return {input.width / align_, input.height / align_}; }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const image::Planes& shape = inputs.front()->frames.front();
    const auto n_inputs = static_cast<std::int64_t>(inputs.size());
    Grid g = patch_grid({shape.width, shape.height});
    Tensor x = embed_placed(inputs, ws);
    vit_.begin(x);
    vit_.run_layers(ws, x, {own_picture(n_inputs, x.rows / n_inputs)}, 0, merge_after_);
    if (merges_inside()) x = merge_inside(ws, x, n_inputs, g);
    const std::int64_t n = x.rows / n_inputs, n_tokens = y.rows / n_inputs;
    vit_.run_layers(ws, x, {own_picture(n_inputs, n)}, merge_after_, vit_.n_layers());
    vit_.end(x);
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      const Workspace::Scope scope(ws);
      const Tensor cells = merge_cells(device_, ws, x.rows_at(i * n, n), g.columns, g.rows, kCell);
      device_.layer_norm(cells, cells, norm_, norm_bias_, hparams_.eps);
      mlp_.run(device_, ws, y.rows_at(i * n_tokens, n_tokens), cells);
    }
  }

 private:
  bool merges_inside() const noexcept { return scale_ == kCell * kCell; }

  void read_sizes() {
    scale_ = in_range_or(metadata_, "clip.vision.projector.scale_factor", kCell, kCell * kCell, kCell * kCell);
    if (scale_ != kCell && !merges_inside())
      bad_model(
          fmt::format("clip.vision.projector.scale_factor is {}, expected {} or {}", scale_, kCell, kCell * kCell));
    if (!merges_inside()) return;
    constexpr const char* kKey = "clip.vision.wa_layer_indexes";
    const auto layers = metadata_.require<std::vector<std::int32_t>>(kKey);
    if (layers.empty() || layers[0] < 0 || layers[0] >= hparams_.n_layers)
      bad_model(fmt::format("{} begins with {}, expected a layer from 0 to {}", kKey,
                            layers.empty() ? "nothing" : std::to_string(layers[0]), hparams_.n_layers - 1));
    merge_after_ = layers[0] + 1;
  }

  /// x: [inputs * patches, n_embd] raster -> a quarter of the rows; `g` becomes their grid.
  Tensor merge_inside(Workspace& ws, Tensor x, std::int64_t n_inputs, Grid& g) const {
    const std::int64_t n = x.rows / n_inputs;
    const Tensor y = ws.tensor(x.rows / (kCell * kCell), x.cols);
    const Workspace::Scope scope(ws);
    const Tensor ordered = ws.tensor(x.rows, x.cols);
    const std::vector<std::int32_t> order = block_order(g.columns, g.rows, kCell);
    for (std::int64_t i = 0; i < n_inputs; ++i) gather(device_, ordered.rows_at(i * n, n), x.rows_at(i * n, n), order);
    cell_merger_.run(ws, y, ordered);
    g = {g.columns / kCell, g.rows / kCell};
    return y;
  }

  int scale_ = kCell * kCell;  ///< patches per side of a token
  int merge_after_ = 0;        ///< layers that see single patches; the others see merged ones
  CellMerger cell_merger_;
  Vector norm_, norm_bias_;  // [4 n_embd]
  TwoLayer mlp_;
};

}  // namespace

extern const ProjectorType projector_minicpmv4_6 = {
    "minicpmv4_6", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<MiniCpmV46>(file, device);
    }};

}  // namespace mtmd::encoders
