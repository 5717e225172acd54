// What the projector types of pictures share; a type's own file says only what is special about it.
#pragma once

#include <string>

#include "encoders/projector/plan.h"
#include "encoders/projector/projector.h"
#include "encoders/trunk/hparams.h"
#include "encoders/trunk/patches.h"
#include "encoders/trunk/rows.h"
#include "encoders/trunk/vit.h"

namespace mtmd::encoders {

/// Tokens of one input.
struct Grid {
  int columns = 0, rows = 0;
};

/// How many tokens a type of variable size may spend on a picture.
struct TokenRange {
  int min = 1, max = 1;
};

class VisionProjector : public Projector {
 public:
  std::string_view type() const noexcept final { return type_; }
  int text_width() const noexcept override { return text_width_; }
  int count_tokens(image::Size size, const ImageLimits& limits) const final;
  Preprocessed preprocess(std::span<const image::Image> frames, const ImageLimits& limits) const final;
  int n_tokens(const Input& input) const final;
  Tensor encode(std::span<const Input* const> inputs, Workspace& ws) const final;
  Presets presets() const final;

 protected:
  VisionProjector(std::string_view type, const gguf::File& file, Device& device);

  /// Canvases, views and layout for a picture of this size (sides >= 1).
  virtual Plan plan(image::Size size, const ImageLimits& limits) const = 0;
  /// Tokens of an input of this size in pixels.
  virtual Grid grid(image::Size input) const = 0;
  /// Rows that the projector adds to each input's grid (begin and end rows, row breaks).
  virtual int extra_tokens(Grid) const { return 0; }
  /// y: [inputs * tokens, text_width]; inputs of equal shape, few enough for one pass.
  virtual void embed(Tensor y, std::span<const Input* const> inputs, Workspace& ws) const = 0;
  /// Types of variable size follow the user's limits; for the others limits that do not hold are an error.
  virtual bool follows_limits() const noexcept { return false; }
  /// Prompts that models of this family were trained with.
  virtual Presets trained_prompts() const;

  /// The model's own range where the user does not say otherwise. Throws Error(usage) for limits that exclude each
  /// other.
  static TokenRange token_range(const ImageLimits& limits, TokenRange own);
  /// The size for a token range where `align` x `align` pixels make a token ("dyn" in conformance/media): the picture
  /// fits into it, padded with black.
  static Canvas dynamic_canvas(image::Size size, int align, TokenRange tokens, image::Filter filter);
  /// Raster patches of all inputs [inputs * patches, n_embd].
  void embed_patches(Tensor y, const PatchEmbedding& patches, std::span<const Input* const> inputs,
                     Workspace& ws) const;
  /// The same in the order that `order` names by raster index (empty: raster), with an optional table [patches, n_embd]
  /// of raster positions added: a tensor of its own.
  Tensor embed_in_order(const PatchEmbedding& patches, std::span<const Input* const> inputs,
                        std::span<const std::int32_t> order, std::span<const float> positions, Workspace& ws) const;
  /// Patches of all inputs, each picture's followed by the class token, with the rows of `positions` [patches + 1,
  /// n_embd] added: [inputs * (patches + 1), n_embd].
  Tensor embed_with_class(const PatchEmbedding& patches, Vector class_token, const Table& positions,
                          std::span<const Input* const> inputs, Workspace& ws) const;
  /// image_grid_pinpoints: canvases of whole tiles of image_size; none where the file does not list any.
  std::vector<image::Size> read_canvases() const;
  /// A token range from image_min_pixels and image_max_pixels, where `align` x `align` pixels make a token.
  struct PixelRange {
    std::int64_t min = 0, max = 0;
  };
  PixelRange read_pixel_range() const;
  static Canvas dynamic_canvas(image::Size size, int align, PixelRange own, const ImageLimits& limits,
                               image::Filter filter);
  /// The size that brings the longer side to `longest` pixels, sides rounded up to multiples of `align`; the user's
  /// limits shrink or grow it further.
  static Canvas longest_side_canvas(image::Size size, int align, int longest, const ImageLimits& limits,
                                    image::Filter filter);
  Grid patch_grid(image::Size input) const noexcept {
    return {input.width / hparams_.patch_size, input.height / hparams_.patch_size};
  }
  VitSpec vit_spec() const noexcept;
  int head_dim() const noexcept { return hparams_.n_embd / hparams_.n_heads; }
  /// Heads that rotate by row and column need a multiple of 4 values.
  void require_rotatable_heads() const;
  [[noreturn]] void bad_model(const std::string& what) const;

  const gguf::Metadata& metadata_;
  Device& device_;
  gguf::Weights weights_;
  VisionHparams hparams_;
  int text_width_ = 0;  ///< set by the type's constructor

 private:
  Plan checked_plan(image::Size size, const ImageLimits& limits) const;
  int tokens_of(image::Size input) const;
  std::string_view type_;
};

}  // namespace mtmd::encoders
