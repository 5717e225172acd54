#include "encoders/projector/vision_projector.h"

#include <algorithm>

#include "encoders/image/sizing.h"
#include "engine/base/error.h"

namespace mtmd::encoders {
namespace {

constexpr int kMostTokens = 1 << 16;           ///< of one picture, whatever the user asks for
constexpr std::int64_t kMostPixels = 1 << 26;  ///< of one canvas, whatever a model file asks for
constexpr std::int64_t kRowsPerPass = 8192;    ///< patches encoded at once, unless one input has more

void require_pixels(image::Size size) {
  if (size.width < 1 || size.height < 1) {
    fail(ErrorCategory::input, "a picture of {} x {} pixels has nothing to show", size.width, size.height);
  }
}

}  // namespace

VisionProjector::VisionProjector(std::string_view type, const gguf::File& file, Device& device)
    : metadata_(file.metadata()),
      device_(device),
      weights_(file),
      hparams_(read_vision_hparams(metadata_)),
      type_(type) {}

int VisionProjector::tokens_of(image::Size input) const {
  const Grid g = grid(input);
  return g.columns * g.rows + extra_tokens(g);
}

int VisionProjector::n_tokens(const Input& input) const {
  return input.nx * input.ny + extra_tokens({input.nx, input.ny});
}

Plan VisionProjector::checked_plan(image::Size size, const ImageLimits& limits) const {
  require_pixels(size);
  Plan plan = this->plan(size, limits);
  if (follows_limits() || (!limits.min_tokens && !limits.max_tokens)) return plan;
  int n = 0;
  for (const View& view : plan.views) n += tokens_of(view.input_size());
  if (n < limits.min_tokens.value_or(n) || n > limits.max_tokens.value_or(n)) {
    fail(ErrorCategory::usage,
         "the model's encoder ({}) always makes {} tokens of a picture of {} x {} pixels; leave --image-min-tokens and "
         "--image-max-tokens away",
         type_, n, size.width, size.height);
  }
  return plan;
}

int VisionProjector::count_tokens(image::Size size, const ImageLimits& limits) const {
  int n = 0;
  for (const View& view : checked_plan(size, limits).views) n += tokens_of(view.input_size());
  return n;
}

Preprocessed VisionProjector::preprocess(std::span<const image::Image> frames, const ImageLimits& limits) const {
  const std::size_t most = merges_frames() ? 2 : 1;
  if (frames.empty() || frames.size() > most) {
    fail(ErrorCategory::internal, "{} pictures for one input of {}, expected 1 to {}", frames.size(), type_, most);
  }
  for (const image::Image& frame : frames) {
    require_pixels(frame.size());
    if (frame.rgb.size() != std::size_t{3} * frame.width * frame.height) {
      fail(ErrorCategory::internal, "a picture of {} x {} pixels holds {} bytes", frame.width, frame.height,
           frame.rgb.size());
    }
    if (frame.size() != frames.front().size()) {
      fail(ErrorCategory::input, "frames of one video differ in size: {} x {} and {} x {}", frames.front().width,
           frames.front().height, frame.width, frame.height);
    }
  }
  Preprocessed out = render(checked_plan(frames.front().size(), limits), frames, {hparams_.mean, hparams_.std});
  for (Input& input : out.inputs) {
    const Grid g = grid({input.frames.front().width, input.frames.front().height});
    input.nx = g.columns, input.ny = g.rows;
  }
  return out;
}

Tensor VisionProjector::encode(std::span<const Input* const> inputs, Workspace& ws) const {
  if (inputs.empty()) fail(ErrorCategory::internal, "nothing to encode");
  const image::Planes& shape = inputs.front()->frames.front();
  for (const Input* input : inputs) {
    for (const image::Planes& frame : input->frames) {
      if (frame.width != shape.width || frame.height != shape.height ||
          input->frames.size() != inputs.front()->frames.size()) {
        fail(ErrorCategory::internal, "inputs of one batch differ in shape");
      }
    }
  }
  const std::int64_t n = n_tokens(*inputs.front());
  const Tensor y = ws.tensor(static_cast<std::int64_t>(inputs.size()) * n, text_width());
  const Grid patches = patch_grid({shape.width, shape.height});
  const std::int64_t per_pass = std::max<std::int64_t>(1, kRowsPerPass / std::max(1, patches.columns * patches.rows));
  for (std::size_t begin = 0; begin < inputs.size(); begin += static_cast<std::size_t>(per_pass)) {
    const auto part = inputs.subspan(begin, std::min(static_cast<std::size_t>(per_pass), inputs.size() - begin));
    const Workspace::Scope scope(ws);
    embed(y.rows_at(static_cast<std::int64_t>(begin) * n, static_cast<std::int64_t>(part.size()) * n), part, ws);
  }
  check_finite(y, metadata_.file());
  return y;
}

void VisionProjector::embed_patches(Tensor y, const PatchEmbedding& patches, std::span<const Input* const> inputs,
                                    Workspace& ws) const {
  const std::int64_t n = y.rows / static_cast<std::int64_t>(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    patches.run(ws, y.rows_at(static_cast<std::int64_t>(i) * n, n), inputs[i]->frames);
  }
}

Tensor VisionProjector::embed_in_order(const PatchEmbedding& patches, std::span<const Input* const> inputs,
                                       std::span<const std::int32_t> order, std::span<const float> positions,
                                       Workspace& ws) const {
  const image::Planes& shape = inputs.front()->frames.front();
  const Grid g = patch_grid({shape.width, shape.height});
  const auto n_inputs = static_cast<std::int64_t>(inputs.size()), n = std::int64_t{g.columns} * g.rows;
  const Tensor x = ws.tensor(n_inputs * n, hparams_.n_embd);
  const Workspace::Scope scope(ws);
  const Tensor raster = order.empty() ? x : ws.tensor(n_inputs * n, hparams_.n_embd);
  embed_patches(raster, patches, inputs, ws);
  if (!positions.empty()) {
    const Tensor table = ws.tensor(n, hparams_.n_embd);
    std::copy(positions.begin(), positions.end(), table.data);
    for (std::int64_t i = 0; i < n_inputs; ++i) device_.add(raster.rows_at(i * n, n), raster.rows_at(i * n, n), table);
  }
  if (!order.empty()) {
    for (std::int64_t i = 0; i < n_inputs; ++i) gather(device_, x.rows_at(i * n, n), raster.rows_at(i * n, n), order);
  }
  return x;
}

Tensor VisionProjector::embed_with_class(const PatchEmbedding& patches, Vector class_token, const Table& positions,
                                         std::span<const Input* const> inputs, Workspace& ws) const {
  const std::int64_t rows = positions.tensor().rows, n = rows - 1;
  const Tensor x = ws.tensor(static_cast<std::int64_t>(inputs.size()) * rows, hparams_.n_embd);
  const std::int32_t first = 0;
  const Weight token{DType::F32, reinterpret_cast<const std::byte*>(class_token.data()), 1, hparams_.n_embd};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Tensor own = x.rows_at(static_cast<std::int64_t>(i) * rows, rows);
    embed_patches(own.rows_at(0, n), patches, inputs.subspan(i, 1), ws);
    device_.get_rows(own.rows_at(n, 1), token, {&first, 1});  // behind the patches, as the reference has it
    device_.add(own, own, positions.tensor());
  }
  return x;
}

std::vector<image::Size> VisionProjector::read_canvases() const {
  constexpr const char* kKey = "clip.vision.image_grid_pinpoints";
  constexpr int kMostTiles = 64, kMostSide = 1 << 13;
  std::vector<image::Size> canvases;
  const auto pinpoints = metadata_.get<std::vector<std::int32_t>>(kKey);
  if (!pinpoints) return canvases;
  const int tile = hparams_.image_size;
  if (pinpoints->size() % 2 != 0) bad_model(fmt::format("{} has {} values, expected pairs", kKey, pinpoints->size()));
  for (std::size_t i = 0; i < pinpoints->size(); i += 2) {
    const image::Size canvas{(*pinpoints)[i], (*pinpoints)[i + 1]};
    const auto fits = [&](int side) {
      return side >= tile && side % tile == 0 && side / tile <= kMostTiles && side <= kMostSide;
    };
    if (!fits(canvas.width) || !fits(canvas.height) || canvas.width / tile * (canvas.height / tile) > kMostTiles) {
      bad_model(fmt::format("{} holds {} x {}, expected multiples of clip.vision.image_size {} and at most {} tiles",
                            kKey, canvas.width, canvas.height, tile, kMostTiles));
    }
    canvases.push_back(canvas);
  }
  return canvases;
}

VisionProjector::PixelRange VisionProjector::read_pixel_range() const {
  constexpr std::int32_t kMost = 1 << 26;
  const PixelRange range{require_in(metadata_, "clip.vision.image_min_pixels", 0, kMost),
                         require_in(metadata_, "clip.vision.image_max_pixels", 1, kMost)};
  if (range.min > range.max) {
    bad_model(
        fmt::format("clip.vision.image_min_pixels {} exceeds clip.vision.image_max_pixels {}", range.min, range.max));
  }
  return range;
}

Canvas VisionProjector::dynamic_canvas(image::Size size, int align, PixelRange own, const ImageLimits& limits,
                                       image::Filter filter) {
  const std::int64_t area = std::int64_t{align} * align;
  const TokenRange user = token_range(limits, {1, kMostTokens});
  if (limits.min_tokens) own.min = user.min * area, own.max = std::max(own.max, own.min);
  if (limits.max_tokens) own.max = user.max * area, own.min = std::min(own.min, own.max);
  own.max = std::clamp<std::int64_t>(own.max, area, std::max(area, std::min(kMostPixels, kMostTokens * area)));
  return {image::smart_resize_bounded(size, {align, std::min(own.min, own.max), own.max, 0}), filter,
          image::Padding::ceil};
}

Canvas VisionProjector::longest_side_canvas(image::Size size, int align, int longest, const ImageLimits& limits,
                                            image::Filter filter) {
  const std::int64_t area = std::int64_t{align} * align;
  const TokenRange user = token_range(limits, {0, kMostTokens});
  const std::int64_t most = std::min(user.max * area, kMostPixels);
  return {image::smart_resize_bounded(size, {align, std::min(user.min * area, most), most, longest}), filter,
          image::Padding::ceil};
}

VitSpec VisionProjector::vit_spec() const noexcept {
  VitSpec spec;
  spec.n_embd = hparams_.n_embd, spec.n_heads = hparams_.n_heads, spec.n_layers = hparams_.n_layers;
  spec.eps = hparams_.eps, spec.activation = hparams_.activation;
  return spec;
}

void VisionProjector::require_rotatable_heads() const {
  if (head_dim() % 4 != 0)
    bad_model(fmt::format(
        "clip.vision.embedding_length {} over clip.vision.attention.head_count {} makes heads of {} values, expected a "
        "multiple of 4 (rotated in two dimensions)",
        hparams_.n_embd, hparams_.n_heads, head_dim()));
}

TokenRange VisionProjector::token_range(const ImageLimits& limits, TokenRange own) {
  const auto check = [](std::optional<int> n, const char* flag) {
    if (n && (*n < 1 || *n > kMostTokens))
      fail(ErrorCategory::usage, "{} is {}, expected 1 to {}", flag, *n, kMostTokens);
  };
  check(limits.min_tokens, "--image-min-tokens"), check(limits.max_tokens, "--image-max-tokens");
  if (limits.min_tokens && limits.max_tokens && *limits.min_tokens > *limits.max_tokens) {
    fail(ErrorCategory::usage, "--image-min-tokens {} exceeds --image-max-tokens {}", *limits.min_tokens,
         *limits.max_tokens);
  }
  TokenRange range{limits.min_tokens.value_or(own.min), limits.max_tokens.value_or(own.max)};
  if (range.min > range.max) (limits.max_tokens ? range.min : range.max) = limits.max_tokens ? range.max : range.min;
  return range;
}

Canvas VisionProjector::dynamic_canvas(image::Size size, int align, TokenRange tokens, image::Filter filter) {
  const std::int64_t area = std::int64_t{align} * align;
  const std::int64_t most = std::min(tokens.max * area, kMostPixels);
  return {image::smart_resize_bounded(size, {align, std::min(tokens.min * area, most), most, 0}), filter,
          image::Padding::ceil};
}

Presets VisionProjector::trained_prompts() const {
  Presets presets;
  presets.ocr_prompt = "Transcribe all the text in this image.";
  presets.describe_prompt = "Describe this image in detail.";
  return presets;
}

Presets VisionProjector::presets() const {
  Presets presets = trained_prompts();
  if (const auto prompt = metadata_.get<std::string_view>("mtmd.ocr_prompt")) presets.ocr_prompt = *prompt;
  if (const auto prompt = metadata_.get<std::string_view>("mtmd.describe_prompt")) presets.describe_prompt = *prompt;
  presets.picture_alone = presets.picture_alone && presets.ocr_prompt.empty();
  presets.reads = metadata_.get_or<std::string_view>("mtmd.reads", "");
  if (presets.reads == "lines") presets.gap.clear();  // trained on the bare prompt
  presets.line_height = in_range_or(metadata_, "mtmd.line_height", 1, 4096, 0);
  presets.max_line_width = in_range_or(metadata_, "mtmd.max_width", 1, 1 << 16, 0);
  return presets;
}

void VisionProjector::bad_model(const std::string& what) const {
  fail(ErrorCategory::model, "{}: {}", metadata_.file(), what);
}

}  // namespace mtmd::encoders
