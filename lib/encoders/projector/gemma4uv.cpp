// Gemma 4 without a vision encoder: large patches, normed and mapped to the language model's width.
#include "encoders/projector/gemma4_picture.h"
#include "encoders/projector/registry.h"

namespace mtmd::encoders {
namespace {

class Gemma4Uv final : public Gemma4Picture {
 public:
  Gemma4Uv(const gguf::File& file, Device& device) : Gemma4Picture("gemma4uv", file, device) {
    const std::int64_t d = hparams_.n_embd, pixels = std::int64_t{3} * align() * align();
    patch_ = weights_.matrix("v.patch_embd.weight", d, pixels),
    patch_bias_ = weights_.vector_if("v.patch_embd.bias", d);
    const auto norm = [&](int i, std::int64_t n) {
      const std::string name = "v.patch_norm." + std::to_string(i);
      return LayerNorm{weights_.vector(name + ".weight", n), weights_.vector_if(name + ".bias", n)};
    };
    norm_pixels_ = norm(1, pixels), norm_patch_ = norm(2, d), norm_placed_ = norm(3, d);
  }

 protected:
  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Grid cells{inputs.front()->nx, inputs.front()->ny};
    const std::int64_t n = std::int64_t{cells.columns} * cells.rows;
    const std::vector<float> positions = axis_positions(cells);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Workspace::Scope scope(ws);
      const Tensor pixels = cut(ws, inputs[i]->frames.front(), n), x = ws.tensor(n, hparams_.n_embd),
                   table = ws.tensor(n, hparams_.n_embd);
      apply(norm_pixels_, pixels);
      device_.matmul(x, patch_, pixels, {.bias = patch_bias_});
      apply(norm_patch_, x);
      std::copy(positions.begin(), positions.end(), table.data);
      device_.add(x, x, table);
      apply(norm_placed_, x);
      project(y.rows_at(static_cast<std::int64_t>(i) * n, n), x);
    }
  }

 private:
  struct LayerNorm {
    Vector w, bias;
  };
  void apply(const LayerNorm& norm, Tensor x) const { device_.layer_norm(x, x, norm.w, norm.bias, hparams_.eps); }

  /// Pixels of each patch, one colour after the other, row by row: [cells, 3 * align * align].
  Tensor cut(Workspace& ws, const image::Planes& frame, std::int64_t n) const {
    const Tensor y = ws.tensor(n, patch_.cols);
    const Workspace::Scope scope(ws);
    const Tensor all = ws.tensor(std::int64_t{frame.height} * frame.width, 3);
    std::copy(frame.rgb.begin(), frame.rgb.end(), all.data);
    device_.unfold(y, all, {frame.height, frame.width, 3, align(), align(), align(), align(), 0, 0}, false);
    return y;
  }

  LayerNorm norm_pixels_, norm_patch_, norm_placed_;
  Weight patch_;       // [n_embd, 3 * align * align]
  Vector patch_bias_;  // [n_embd], optional
};

}  // namespace

extern const ProjectorType projector_gemma4uv = {
    "gemma4uv", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Gemma4Uv>(file, device);
    }};

}  // namespace mtmd::encoders
