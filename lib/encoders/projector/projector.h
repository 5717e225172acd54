// A projector answers four questions and nothing outside asks more: how many tokens will this picture become; preprocess
// it; encode preprocessed inputs in one batch; how do the tokens sit in the prompt. One file per projector type.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "encoders/image/image.h"
#include "engine/base/verified.h"
#include "engine/device/device.h"
#include "engine/device/rope_table.h"
#include "engine/gguf/gguf.h"

namespace mtmd::encoders {

/// How an encoded chunk takes part in the sequence of positions.
enum class PositionKind {
  sequential,  ///< one position per token
  grid,        ///< M-RoPE: t fixed, y and x from the grid; advances by max(nx, ny)
  row,         ///< the same with the grid laid out as one row of n_tokens; sequential without M-RoPE
  reading,     ///< M-RoPE: t advances by token; between the first and the last token y is the column and x the row,
               ///< both from 0, z counts the pictures before; advances by n_tokens
};

/// One preprocessed piece of a picture (a tile, an overview, a whole picture, two frames of a video).
struct Input {
  std::vector<image::Planes> frames;  ///< one, or two mergeable frames of one video
  int nx = 0, ny = 0;                 ///< grid of output tokens; n_tokens() = nx * ny unless the projector adds rows
};

/// A piece of prompt that stands for a picture, in order: text (tokenised with special tokens parsed) or an input.
struct Piece {
  std::string text;  ///< used when input < 0
  int input = -1;    ///< index into Preprocessed::inputs
  std::string otherwise = {};  ///< instead of `text` where the vocabulary lacks that token
};

struct Preprocessed {
  std::vector<Input> inputs;
  std::vector<Piece> layout;
  image::Size used;          ///< the size the picture was really used at (largest extent of pixels seen)
  bool downscaled = false;   ///< pixels were thrown away
};

/// User limits on the tokens of one picture (--image-min-tokens, --image-max-tokens); nothing: the model's own.
struct ImageLimits {
  std::optional<int> min_tokens, max_tokens;
};

/// What the model was trained to be asked, shown by `mtmd inspect`, used by `ocr` and `describe`.
struct Presets {
  std::string ocr_prompt, describe_prompt;
  bool picture_alone = false;          ///< for OCR: trained without any prompt
  std::string gap = "\n";             ///< between the picture and the prompt
  std::vector<std::string> stop = {};  ///< texts or tokens that end an answer, besides those the vocabulary names
  ImageLimits ocr_limits = {};         ///< tokens of a page where documents need others than the model's own limits
  std::string reads;      ///< "lines": the model reads single lines of text; `ocr` cuts pages into lines first
  int line_height = 0, max_line_width = 0;
};

class Projector {
 public:
  virtual ~Projector() = default;

  virtual std::string_view type() const noexcept = 0;  ///< clip.projector_type
  virtual int text_width() const noexcept = 0;         ///< columns of the embeddings (times 1 + deepstack layers)
  /// Tokens of a picture of this size, markers not included; the same arithmetic as preprocess().
  virtual int count_tokens(image::Size size, const ImageLimits& limits) const = 0;
  /// `frames`: one picture, or consecutive frames of one video where the type merges them. Throws Error(input).
  virtual Preprocessed preprocess(std::span<const image::Image> frames, const ImageLimits& limits) const = 0;
  virtual int n_tokens(const Input& input) const = 0;
  /// Embeddings of equal-shaped inputs, one after the other: [inputs * n_tokens, text_width]; valid until the workspace is
  /// reset. Throws Error(model) when a NaN or infinity comes out.
  virtual Tensor encode(std::span<const Input* const> inputs, Workspace& ws) const = 0;
  virtual PositionKind positions() const noexcept { return PositionKind::sequential; }
  virtual bool non_causal() const noexcept { return false; }  ///< tokens of a chunk see each other
  virtual Presets presets() const { return {}; }
  virtual bool merges_frames() const noexcept { return false; }
  /// Where the recorded reference does other than what the model was trained with, do as the reference from now on
  /// (mtmd conformance).
  virtual void follow_reference() noexcept {}
};

/// Opens the vision part of an mmproj file. `file` and `device` must outlive the projector. Throws Error(model); an unknown
/// type lists those supported.
std::unique_ptr<Projector> load_projector(const gguf::File& file, Device& device);
std::vector<std::string_view> projector_types();
Verified verified(std::string_view type) noexcept;

}  // namespace mtmd::encoders
