// Youtu-VL: windowed attention as in Qwen2.5-VL, patches as plain vectors of pixels, up to 250000 patches a picture.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "encoders/projector/registry.h"
#include "encoders/projector/windowed_picture.h"

namespace mtmd::encoders {
namespace {

constexpr std::int64_t kMostPatches = 250000;
constexpr float kShrink = 0.02f;  ///< of the scale, until the patches are few enough

class YoutuVl final : public WindowedPicture {
 public:
  YoutuVl(const gguf::File& file, Device& device)
      : WindowedPicture("youtuvl", file, device, {"<|vision_start|>", "<|vision_end|>"}) {
    require_rotatable_heads();
    read_merge("clip.vision.spatial_merge_size");
    set_window(require_in(metadata_, "clip.vision.window_size", 1, 1 << 14));
    read_full_layers();
    patches_ =
        PatchEmbedding::as_matrix(weights_, device, hparams_.n_embd, hparams_.patch_size, PixelOrder::channel_last);
    vit_ = Vit(weights_, device, vit_spec());
    norm_ = weights_.vector("mm.input_norm.weight", hparams_.n_embd);
    load_bridge();
  }

 protected:
  /// There is a most, but no least number of tokens.
  bool follows_limits() const noexcept override { return false; }

  Canvas canvas(image::Size size, const ImageLimits& limits) const override {
    const int a = align();
    const auto side = [a](int from, float scale) {
      constexpr float kMost = 1 << 24;
      const float cells = std::ceil(static_cast<float>(from) * scale / static_cast<float>(a));
      return std::max(a, static_cast<int>(std::min(cells, kMost / static_cast<float>(a))) * a);
    };
    const auto patches = [this](image::Size s) {
      return std::int64_t{s.width} / hparams_.patch_size * (s.height / hparams_.patch_size);
    };
    const std::int64_t most =
        limits.max_tokens ? std::int64_t{token_range(limits, {1, 1}).max} * merge_ * merge_ : kMostPatches;
    float scale = 1.0f;
    image::Size out{side(size.width, scale), side(size.height, scale)};
    while (patches(out) > most && (out.width > a || out.height > a)) {
      scale -= kShrink;
      out = {side(size.width, scale), side(size.height, scale)};
    }
    return {out, image::Filter::bilinear, image::Padding::none};
  }

  void finish_patches(Tensor x) const override { device_.rms_norm(x, x, norm_, 1e-6f); }

 private:
  void read_full_layers() {
    constexpr const char* kKey = "clip.vision.wa_layer_indexes";
    const auto listed = metadata_.require<std::vector<std::int32_t>>(kKey);
    std::vector<bool> full(static_cast<std::size_t>(hparams_.n_layers), listed.empty());
    for (const std::int32_t layer : listed) {
      if (layer < 0 || layer >= hparams_.n_layers)
        bad_model(fmt::format("{} holds {}, expected 0 to {} (clip.vision.block_count - 1)", kKey, layer,
                              hparams_.n_layers - 1));
      full[static_cast<std::size_t>(layer)] = true;
    }
    see_whole_picture(std::move(full));
  }

  Vector norm_;  // [n_embd]
};

}  // namespace

extern const ProjectorType projector_youtuvl = {
    "youtuvl", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<YoutuVl>(file, device);
    }};

}  // namespace mtmd::encoders
