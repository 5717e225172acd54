// Step3-VL (arXiv:2507.19427): square windows of the picture at up to its full size and an overview; two strided
// convolutions make a token of 4 x 4 patches.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/conv.h"
#include "encoders/trunk/positions.h"

namespace mtmd::encoders {
namespace {

constexpr int kWindow = 504;        ///< pixels per side of a window, as the encoder sees it
constexpr int kPerToken = 4;        ///< patches per side of a token
constexpr int kMostLongest = 4096;  ///< pixels
constexpr int kThin = 32;           ///< pixels: a strip with a side below that lies on a square
constexpr float kLong = 4.0f;       ///< times the shorter side: a strip
constexpr float kOblong = 1.5f;     ///< times the shorter side: a small picture that is cut all the same
constexpr float kWorthOneMore = 0.2f;
/// In a strip. The reference goes on to thousands of windows of a pixel each; no square picture has more than 36.
constexpr int kMostWindows = 48;

class Step3Vl final : public VisionProjector {
 public:
  Step3Vl(const gguf::File& file, Device& device) : VisionProjector("step3vl", file, device) {
    const std::int64_t d = hparams_.n_embd;
    require_rotatable_heads();
    in_range_or(metadata_, "clip.vision.projector.scale_factor", kPerToken, kPerToken, kPerToken);
    longest_ = in_range_or(metadata_, "clip.vision.preproc_image_size", 1, kMostLongest, 3024);
    patches_ = PatchEmbedding(weights_, device, hparams_.n_embd, hparams_.patch_size);
    positions_ = PositionTable(weights_, d, TableResize::antialias);
    vit_ = Vit(weights_, device, vit_spec());
    const auto halving = [](int in) { return ConvSpec{.in = in, .kernel = 3, .stride = 2, .pad = 1}; };
    first_ = Conv2d(weights_, device, "mm.0", halving(hparams_.n_embd));
    second_ = Conv2d(weights_, device, "mm.1", halving(first_.out()));
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.model.fc.weight"));
    fc_ = weights_.matrix("mm.model.fc.weight", text_width_, second_.out());
  }

 protected:
  Plan plan(image::Size size, const ImageLimits&) const override {
    Plan plan;
    const Canvas base = base_canvas(size);
    plan.canvases.push_back(base);
    if (const int side = window_side(base.size); side > 0) add_windows(plan, base.size, side);
    plan.add_text("<im_start>");
    plan.add_input(static_cast<int>(plan.views.size()));
    const image::Size square{hparams_.image_size, hparams_.image_size};
    plan.views.push_back({.canvas = 0, .size = base.size, .stretched = square});
    plan.add_text("<im_end>");
    return plan;
  }

  Grid grid(image::Size input) const override {
    const Grid patches = patch_grid(input);
    return {second_.side(first_.side(patches.columns)), second_.side(first_.side(patches.rows))};
  }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const image::Planes& shape = inputs.front()->frames.front();
    const Grid g = patch_grid({shape.width, shape.height});
    const auto n_inputs = static_cast<std::int64_t>(inputs.size()), n = std::int64_t{g.columns} * g.rows;
    const Tensor x = embed_in_order(patches_, inputs, {}, positions_.resized(g.columns, g.rows), ws);
    const RopeTable rope = rope_2d(head_dim(), {.rows_first = false},
                                   grid_positions(block_order(g.columns, g.rows, 1), g.columns, n_inputs));
    const std::vector<KeyRange> ranges = own_picture(n_inputs, n);
    Vit::Pass pass{ranges};
    pass.rope = &rope, pass.pairs = RopePairs::adjacent;
    vit_.run(ws, x, pass);
    const Grid half{first_.side(g.columns), first_.side(g.rows)};
    const std::int64_t n_half = std::int64_t{half.columns} * half.rows, n_tokens = y.rows / n_inputs;
    const Tensor a = ws.tensor(n_half, first_.out()), b = ws.tensor(n_tokens, second_.out());
    for (std::int64_t i = 0; i < n_inputs; ++i) {
      first_.run(ws, a, x.rows_at(i * n, n), g.columns, g.rows);
      second_.run(ws, b, a, half.columns, half.rows);
      device_.matmul(y.rows_at(i * n_tokens, n_tokens), fc_, b);
    }
  }

  Presets trained_prompts() const override {
    Presets presets = VisionProjector::trained_prompts();
    presets.describe_prompt = "What's in this picture?";  // as in the authors' examples
    return presets;
  }

 private:
  /// What overview and windows are made from: thin strips on a black square, large pictures scaled down.
  Canvas base_canvas(image::Size size) const {
    Canvas canvas{size, image::Filter::bilinear, image::Padding::none};
    const int longer = std::max(size.width, size.height), shorter = std::min(size.width, size.height);
    if (shorter<kThin&& static_cast<float>(longer) / static_cast<float>(shorter)> kLong) {
      canvas.size = canvas.extent = {longer, longer};
    }
    const auto fitted = [&](int side) {
      return static_cast<int>(std::max<std::int64_t>(1, std::int64_t{side} * longest_ / longer));
    };
    if (longer > longest_) canvas.size = {fitted(canvas.size.width), fitted(canvas.size.height)};
    return canvas;
  }

  /// Pixels per side of a window; 0: the overview serves alone.
  int window_side(image::Size base) const {
    const int longer = std::max(base.width, base.height), shorter = std::min(base.width, base.height);
    const float aspect = static_cast<float>(longer) / static_cast<float>(shorter);
    int side = aspect > kLong ? std::min(shorter, kWindow) : kWindow;
    if (longer <= hparams_.image_size) side = aspect > kOblong ? shorter : 0;
    return side == 0 ? 0 : std::max(side, (longer + kMostWindows - 1) / kMostWindows);
  }

  /// A side that windows fill; a picture smaller than a window keeps its own.
  static int refined(int pixels, int side) {
    const float windows = static_cast<float>(pixels) / static_cast<float>(side), whole = std::floor(windows);
    if (windows < 1.0f) return pixels;
    return side * (static_cast<int>(whole) + (windows - whole > kWorthOneMore ? 1 : 0));
  }

  static void add_windows(Plan& plan, image::Size base, int side) {
    const image::Size size{refined(base.width, side), refined(base.height, side)};
    plan.canvases.push_back({.size = size, .source = 0});
    for (int y = 0; y < size.height; y += side) {
      if (y > 0) plan.add_text("<patch_newline>");
      for (int x = 0; x < size.width; x += side) {
        plan.add_text("<patch_start>");
        plan.add_input(static_cast<int>(plan.views.size()));
        plan.views.push_back({.canvas = 1, .x = x, .y = y, .size = {side, side}, .stretched = {kWindow, kWindow}});
        plan.add_text("<patch_end>");
      }
    }
  }

  int longest_ = 0;  ///< pixels of the longer side, at most
  PatchEmbedding patches_;
  PositionTable positions_;
  Vit vit_;
  Conv2d first_, second_;
  Weight fc_;  // [text_width, second_.out()]
};

}  // namespace

extern const ProjectorType projector_step3vl = {
    "step3vl", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<Step3Vl>(file, device);
    }};

}  // namespace mtmd::encoders
