// Gemma 4: pictures of any shape, a table of positions and a rotary embedding per axis, average pooling, one linear
// map; the tokens of a picture see each other.
#include <cmath>

#include "encoders/projector/gemma4_picture.h"
#include "encoders/projector/registry.h"
#include "encoders/trunk/positions.h"

namespace mtmd::encoders {
namespace {

constexpr float kRopeBase = 100.0f;

class Gemma4V final : public Gemma4Picture {
 public:
  Gemma4V(const gguf::File& file, Device& device) : Gemma4Picture("gemma4v", file, device) {
    require_rotatable_heads();
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    VitSpec spec = vit_spec();
    spec.norm = Norm::rms, spec.gated = true, spec.norm_values = true, spec.attention_scale = 1.0f;
    vit_ = Vit(weights_, device, spec);
    bias_ = weights_.vector_if("v.std_bias", hparams_.n_embd);
    scale_ = weights_.vector_if("v.std_scale", hparams_.n_embd);
  }

 protected:
  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Patches p = ordered_patches(inputs, block_order(inputs.front()->nx * merge_, inputs.front()->ny * merge_, 1));
    const Tensor x = embed_patches_of(centered(inputs), p, ws);
    const RopeTable columns = rope_axis(head_dim() / 2, kRopeBase, Axis::column, p.positions);
    const RopeTable rows = rope_axis(head_dim() / 2, kRopeBase, Axis::row, p.positions);
    Vit::Pass pass;
    pass.rotate = [&](Tensor t) {
      rotate_part(device_, t, head_dim(), 0, columns, RopePairs::halves);
      rotate_part(device_, t, head_dim(), head_dim() / 2, rows, RopePairs::halves);
    };
    run_vit(ws, x, p, pass);
    const Tensor pooled = ws.tensor(y.rows, x.cols);
    const std::int64_t n_tokens = y.rows / p.n_inputs;
    for (std::int64_t i = 0; i < p.n_inputs; ++i) {
      device_.average_pool(pooled.rows_at(i * n_tokens, n_tokens), x.rows_at(i * p.n, p.n), p.patches.rows,
                           p.patches.columns, merge_);
    }
    device_.scale(pooled, pooled, std::sqrt(static_cast<float>(hparams_.n_embd)));
    standardize(ws, pooled);
    project(y, pooled);
  }

 private:
  Tensor embed_patches_of(const std::vector<Input>& inputs, const Patches& p, Workspace& ws) const {
    std::vector<const Input*> pointers;
    for (const Input& input : inputs) pointers.push_back(&input);
    return embed_in_order(patches_, pointers, {}, axis_positions(p.patches), ws);
  }

  /// x = (x - std_bias) * std_scale
  void standardize(Workspace& ws, Tensor x) const {
    const Workspace::Scope scope(ws);
    const Tensor row = ws.tensor(1, x.cols);
    if (!bias_.empty()) {
      std::copy(bias_.begin(), bias_.end(), row.data);
      device_.scale(row, row, -1.0f);
      device_.add(x, x, row);
    }
    if (!scale_.empty()) {
      std::copy(scale_.begin(), scale_.end(), row.data);
      device_.multiply(x, x, row);
    }
  }

  Vector bias_, scale_;  // [n_embd], optional
};

}  // namespace

extern const ProjectorType projector_gemma4v = {
    "gemma4v", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Gemma4V>(file, device);
    }};

}  // namespace mtmd::encoders
