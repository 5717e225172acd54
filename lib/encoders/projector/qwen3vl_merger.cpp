// Qwen3-VL (arXiv:2511.21631): Qwen2-VL's scheme with learned positions, and features of several layers for the first
// layers of the language model ("deepstack").
#include <fmt/core.h>

#include "encoders/projector/registry.h"
#include "encoders/projector/whole_picture.h"
#include "encoders/trunk/positions.h"
#include "encoders/trunk/two_layer.h"

namespace mtmd::encoders {
namespace {

constexpr int kMostDeepstack = 64;

class Qwen3Vl final : public WholePicture {
 public:
  Qwen3Vl(const gguf::File& file, Device& device)
      : WholePicture("qwen3vl_merger", file, device, {"<|vision_start|>", "<|vision_end|>"}) {
    require_rotatable_heads();
    read_merge("clip.vision.spatial_merge_size");
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size, 2);
    table_ = PositionTable(weights_, hparams_.n_embd, TableResize::align_corners);
    vit_ = Vit(weights_, device, vit_spec());
    merger_ = TwoLayer(weights_, "mm.0", "mm.2", cell_width(), Activation::gelu_tanh);
    load_deepstack();
    text_width_ = merger_.out() * static_cast<int>(1 + deepstack_.size());
  }

  PositionKind positions() const noexcept override { return PositionKind::grid; }
  bool merges_frames() const noexcept override { return true; }

 protected:
  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    return dynamic_canvas(size, align(), token_range(limits, {8, 4096}), image::Filter::bilinear);
  }

  /// Columns of y: the last layer's, then those of the deepstack layers.
  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const Patches p = block_patches(inputs);
    const Tensor x = embed_in_order(patches_, inputs, p.order, table_.resized(p.patches.columns, p.patches.rows), ws);
    std::size_t next = 0;
    Vit::Pass pass;
    pass.after_layer = [&](int layer, Tensor rows) {
      if (next == deepstack_.size() || deepstack_[next].layer != layer) return;
      const Deepstack& d = deepstack_[next++];
      const Workspace::Scope scope(ws);
      const Tensor normed = ws.tensor(y.rows, cell_width());
      device_.layer_norm(normed, cells(rows), d.norm, d.norm_bias, hparams_.eps);
      d.mlp.run(device_, ws, y.cols_at(static_cast<std::int64_t>(next) * merger_.out(), merger_.out()), normed);
    };
    run_rotated(ws, x, p, pass);
    merger_.run(device_, ws, y.cols_at(0, merger_.out()), cells(x));
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt =
        "Please output only the text content from the image without any additional descriptions or formatting.";
    presets.describe_prompt = "Describe this image.";
    presets.gap = "";
    return presets;
  }

 private:
  struct Deepstack {
    int layer = 0;
    Vector norm, norm_bias;  // [4 n_embd]
    TwoLayer mlp;
  };

  void load_deepstack() {
    constexpr const char* kKey = "clip.vision.is_deepstack_layers";
    const auto flags = metadata_.get_or<std::vector<bool>>(kKey, {});
    if (flags.size() > static_cast<std::size_t>(hparams_.n_layers))
      bad_model(fmt::format("{} has {} values, expected at most {} (clip.vision.block_count)", kKey, flags.size(),
                            hparams_.n_layers));
    for (std::size_t layer = 0; layer < flags.size(); ++layer) {
      if (!flags[layer]) continue;
      const std::string name = fmt::format("v.deepstack.{}.", layer);
      Deepstack& d = deepstack_.emplace_back();
      d.layer = static_cast<int>(layer);
      d.norm = weights_.vector(name + "norm.weight", cell_width());
      d.norm_bias = weights_.vector_if(name + "norm.bias", cell_width());
      d.mlp = TwoLayer(weights_, name + "fc1", name + "fc2", cell_width(), Activation::gelu_tanh);
      if (d.mlp.out() != merger_.out())
        bad_model(
            fmt::format("{}fc2.weight has {} rows, expected {} as mm.2.weight", name, d.mlp.out(), merger_.out()));
    }
    if (deepstack_.size() > kMostDeepstack)
      bad_model(fmt::format("{} names {} layers, expected at most {}", kKey, deepstack_.size(), kMostDeepstack));
  }

  PositionTable table_;
  TwoLayer merger_;
  std::vector<Deepstack> deepstack_;
};

}  // namespace

extern const ProjectorType projector_qwen3vl_merger = {
    "qwen3vl_merger", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Qwen3Vl>(file, device);
    }};

}  // namespace mtmd::encoders
