// DeepSeek-OCR (arXiv:2510.18234): SAM reads the pixels, CLIP what SAM makes of them, and a token is what both say
// about 4 x 4 patches. Large pictures are read in tiles, a row of tiles at a time, and as a whole.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "encoders/image/sizing.h"
#include "encoders/projector/registry.h"
#include "encoders/projector/vision_projector.h"
#include "encoders/trunk/sam.h"

namespace mtmd::encoders {
namespace {

constexpr image::Color kGrey = {127, 127, 127};
constexpr int kMostTiles = 64;
constexpr std::int64_t kMostPixels = 1 << 26;  ///< of all tiles

class DeepseekOcr final : public VisionProjector {
 public:
  DeepseekOcr(const gguf::File& file, Device& device) : VisionProjector("deepseekocr", file, device) {
    const std::int64_t d = hparams_.n_embd;
    read_sizes();
    sam_ = Sam(weights_, device, sam_spec());
    class_token_ = weights_.vector("v.class_embd", d);
    load_positions();
    VitSpec spec = vit_spec();
    spec.activation = Activation::gelu_quick;  // CLIP's own, whatever clip.use_gelu says
    vit_ = Vit(weights_, device, spec);
    text_width_ = static_cast<int>(matrix_rows(weights_, "mm.model.fc.weight"));
    fc_ = weights_.matrix("mm.model.fc.weight", text_width_, 2 * d);
    fc_bias_ = weights_.vector_if("mm.model.fc.bias", text_width_);
    row_end_ = weights_.vector("v.image_newline", text_width_);
    overview_end_ = weights_.vector("v.view_seperator", text_width_);
  }

  void follow_reference() noexcept override { as_reference_ = true; }

 protected:
  Plan plan(image::Size size, const ImageLimits&) const override {
    Plan plan;
    if (std::max(size.width, size.height) > tile_) {
      const image::Size canvas = image::closest_canvas(size, canvases_);
      plan.canvases.push_back({canvas, image::Filter::bicubic_pillow, image::Padding::none});
      const int columns = canvas.width / tile_;
      for (int y = 0; y < canvas.height; y += tile_) {
        plan.views.push_back({0, 0, y, {tile_, tile_ * columns}, columns});
        plan.add_input(static_cast<int>(plan.views.size()) - 1);
      }
    }
    plan.add_whole(
        {{hparams_.image_size, hparams_.image_size}, image::Filter::bicubic_pillow, image::Padding::nearest, kGrey});
    plan.add_text("\n");
    return plan;
  }

  Grid grid(image::Size input) const override {
    const int cells = input.width / cell_;
    return {cells * (input.height / input.width), cells};
  }

  /// A row of its own ends each row of tokens, another one the overview.
  int extra_tokens(Grid g) const override { return g.rows + (is_overview(g) ? 1 : 0); }

  void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const override {
    const std::int64_t n_tokens = y.rows / static_cast<std::int64_t>(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i)
      embed_one(y.rows_at(static_cast<std::int64_t>(i) * n_tokens, n_tokens), *inputs[i], ws);
  }

  Presets trained_prompts() const override {
    Presets presets;
    presets.ocr_prompt = "Free OCR.";  // "<|grounding|>Convert the document to markdown." for layout with boxes
    presets.describe_prompt = "Describe this image in detail.";
    presets.gap.clear();  // the line break behind the picture is part of the layout
    return presets;
  }

 private:
  bool is_overview(Grid g) const noexcept { return g.rows == hparams_.image_size / cell_; }

  void read_sizes() {
    cell_ = Sam::kShrink * hparams_.patch_size;
    // 1024 and 640 pixels: both modes must be whole tokens.
    tile_ = hparams_.image_size / 8 * 5;
    if (hparams_.image_size % 8 != 0 || tile_ % cell_ != 0 || hparams_.image_size % cell_ != 0) {
      bad_model(
          fmt::format("clip.vision.image_size {} and its tiles of 5/8 of that are no multiples of {} pixels ({} x "
                      "clip.vision.patch_size)",
                      hparams_.image_size, cell_, Sam::kShrink));
    }
    const int least = in_range_or(metadata_, "clip.vision.preproc_min_tiles", 1, kMostTiles, 2);
    const int most = in_range_or(metadata_, "clip.vision.preproc_max_tiles", least, kMostTiles, std::max(least, 9));
    if (std::int64_t{most} * tile_ * tile_ > kMostPixels)
      bad_model(fmt::format("clip.vision.preproc_max_tiles {} of {} x {} pixels are more than {} pixels", most, tile_,
                            tile_, kMostPixels));
    canvases_ = image::tile_grids(least, most, tile_);
  }

  SamSpec sam_spec() const {
    SamSpec spec;
    spec.n_embd = require_in(metadata_, "clip.vision.sam.embedding_length", 1, 1 << 16);
    spec.n_heads = require_in(metadata_, "clip.vision.sam.head_count", 1, 1024);
    spec.n_layers = require_in(metadata_, "clip.vision.sam.block_count", 1, 1024);
    spec.window = require_in(metadata_, "clip.vision.window_size", 1, 256);
    spec.patch_size = hparams_.patch_size, spec.n_out = hparams_.n_embd;
    return spec;
  }

  /// The table's first row is the class token's, the others are a square.
  void load_positions() {
    const std::int64_t d = hparams_.n_embd, rows = matrix_rows(weights_, "v.position_embd.weight");
    side_ = static_cast<int>(std::lround(std::sqrt(static_cast<double>(rows - 1))));
    if (side_ < 1 || std::int64_t{side_} * side_ + 1 != rows)
      bad_model(fmt::format("v.position_embd.weight has {} rows, expected a square number and one", rows));
    position_rows_ = weights_.values("v.position_embd.weight", {rows, d});
  }

  /// Positions of the class token and of cells x cells patches: [1 + cells * cells, n_embd].
  std::vector<float> placed_rows(int cells) const {
    const auto d = static_cast<std::size_t>(hparams_.n_embd);
    if (cells == side_) return {position_rows_.begin(), position_rows_.end()};
    if (as_reference_) return reference_positions(cells);
    std::vector<float> rows(position_rows_.begin(), position_rows_.begin() + hparams_.n_embd);
    const PositionTable table(position_rows_.subspan(d), side_, side_, hparams_.n_embd, TableResize::bicubic_antialias);
    const std::vector<float> resized = table.resized(cells, cells);
    rows.insert(rows.end(), resized.begin(), resized.end());
    return rows;
  }

  /// What the recorded reference adds to tiles instead, found out from its results: it takes all rows but the last for
  /// one picture of side^2 x n_embd pixels, resizes that and repeats it n_embd times; the last row begins side^2 bytes
  /// into the table. Nothing was ever trained with that.
  std::vector<float> reference_positions(int cells) const {
    const std::size_t d = static_cast<std::size_t>(hparams_.n_embd), n = static_cast<std::size_t>(side_) * side_;
    const PositionTable picture(position_rows_.first(n * d), side_ * side_, hparams_.n_embd, 1, TableResize::bicubic);
    const std::vector<float> resized = picture.resized(cells, cells);
    std::vector<float> rows;
    for (std::size_t i = 0; i < d; ++i) rows.insert(rows.end(), resized.begin(), resized.end());
    const Vector last = position_rows_.subspan(n / sizeof(float), d);
    rows.insert(rows.end(), last.begin(), last.end());
    return rows;
  }

  /// One row of tiles, or the overview.
  void embed_one(Tensor y, const Input& input, Workspace& ws) const {
    const Workspace::Scope scope(ws);
    const image::Planes& frame = input.frames.front();
    const int parts = frame.height / frame.width, cells = frame.width / cell_;
    const std::int64_t n = std::int64_t{cells} * cells, d = hparams_.n_embd;
    const TableResize resize = as_reference_ ? TableResize::bicubic : TableResize::bicubic_antialias;
    const Tensor both = ws.tensor(parts * n, 2 * d), local = both.cols_at(d, d), global = both.cols_at(0, d);
    {
      const Workspace::Scope inner(ws);
      const Tensor pixels = ws.tensor(std::int64_t{frame.width} * frame.width, 3), seen = ws.tensor(n, d);
      for (int part = 0; part < parts; ++part) {
        const float* from = frame.rgb.data() + part * pixels.size();
        std::copy(from, from + pixels.size(), pixels.data);
        sam_.run(ws, seen, pixels, frame.width, frame.width, resize);
        device_.copy(local.rows_at(part * n, n), seen);
      }
    }
    run_clip(global, local, parts, cells, ws);
    const Tensor rows = ws.tensor(parts * n, y.cols);
    device_.matmul(rows, fc_, both, {.bias = fc_bias_});
    place_rows(y, rows, {cells, cells}, parts);
  }

  /// y, x: [parts * cells * cells, n_embd]; the class token goes in front of each part and is left out of the result.
  void run_clip(Tensor y, Tensor x, int parts, int cells, Workspace& ws) const {
    const Workspace::Scope scope(ws);
    const std::int64_t n = x.rows / parts;
    const Tensor tokens = ws.tensor(parts * (n + 1), x.cols), table = ws.tensor(n + 1, x.cols);
    const std::vector<float> rows = placed_rows(cells);
    std::copy(rows.begin(), rows.end(), table.data);
    for (int part = 0; part < parts; ++part) {
      const Tensor own = tokens.rows_at(part * (n + 1), n + 1);
      std::copy(class_token_.begin(), class_token_.end(), own.data);
      device_.copy(own.rows_at(1, n), x.rows_at(part * n, n));
      device_.add(own, own, table);
    }
    const std::vector<KeyRange> ranges = own_picture(parts, n + 1);
    vit_.run(ws, tokens, {ranges});
    for (int part = 0; part < parts; ++part)
      device_.copy(y.rows_at(part * n, n), tokens.rows_at(part * (n + 1) + 1, n));
  }

  /// Tokens of tiles that lie side by side, row by row across all of them.
  void place_rows(Tensor y, Tensor rows, Grid tile, int parts) const {
    const std::int64_t n = std::int64_t{tile.columns} * tile.rows;
    std::int64_t at = 0;
    for (int r = 0; r < tile.rows; ++r) {
      for (int part = 0; part < parts; ++part, at += tile.columns) {
        const std::int64_t first = part * n + std::int64_t{r} * tile.columns;
        device_.copy(y.rows_at(at, tile.columns), rows.rows_at(first, tile.columns));
      }
      std::copy(row_end_.begin(), row_end_.end(), y.row(at++));
    }
    if (at < y.rows) std::copy(overview_end_.begin(), overview_end_.end(), y.row(at));
  }

  int cell_ = 0, tile_ = 0;  ///< pixels per side of a token, of a tile
  std::vector<image::Size> canvases_;
  Sam sam_;
  Vector class_token_;    // [n_embd]
  Vector position_rows_;  // [1 + side * side, n_embd]
  int side_ = 0;
  bool as_reference_ = false;
  Vit vit_;
  Weight fc_;                      // [text_width, 2 n_embd]: CLIP's columns first
  Vector fc_bias_;                 // [text_width], optional
  Vector row_end_, overview_end_;  // [text_width]
};

}  // namespace

extern const ProjectorType projector_deepseekocr = {
    "deepseekocr", [](const gguf::File& file, Device& device) -> std::unique_ptr<Projector> {
      return std::make_unique<DeepseekOcr>(file, device);
    }};

}  // namespace mtmd::encoders
